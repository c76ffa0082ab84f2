import { GenAi } from "../../openai/GenAi.js"

/** Of a span that did not end well, under this name in a query: no later request brought the answer that it had begun. */
export const isUnanswered = (span: string): string =>
  `(${span}.attributes ->> '$."${GenAi.answeredBy}"' IS NULL OR ${span}.events <> '[]')`
