/** The OpenAPI document, made from the endpoints that are served. */
import * as OpenApi from "@effect/platform/OpenApi"
import { DashboardApi } from "./DashboardApi.js"

/** How Effect's own answer to an undecodable request is called; the dashboard answers it in its own shape. */
const replaced = new Set(["HttpApiDecodeError", "Issue", "PropertyKey"])

let made: OpenApi.OpenAPISpec | undefined

/** Made once, when it is first asked for. */
export const openApiDocument = (): OpenApi.OpenAPISpec => made ??= make()

const make = (): OpenApi.OpenAPISpec => {
  const document = structuredClone(OpenApi.fromApi(DashboardApi))
  for (const name of replaced) delete document.components.schemas[name]
  const isReplaced = (schema: unknown) =>
    replaced.has(String((schema as { readonly $ref?: string }).$ref).replace("#/components/schemas/", ""))
  for (const operation of Object.values(document.paths).flatMap((path) => Object.values(path))) {
    // The token is asked for wherever it is set; no requirement at all would say that none ever is.
    operation.security = [{}, { token: [] }]
    for (const content of Object.values(operation.responses[400]?.content ?? {})) {
      const { anyOf = [] } = content.schema as { readonly anyOf?: ReadonlyArray<unknown> }
      const [own] = anyOf.filter((schema) => !isReplaced(schema))
      if (own !== undefined) content.schema = own as typeof content.schema
    }
    if (operation.responses[400] !== undefined) operation.responses[400].description = "The request cannot be meant"
  }
  document.components.securitySchemes = { token: { type: "http", scheme: "bearer" } }
  return document
}
