/** Tickets to queues and priorities: one easy line mends the loudest symptoms and spoils the quiet ones. The task with a trap. */
import type { Rule, TaskSpec, Trap } from "./Rule.js"

const component = "system_prompt"

const rules: ReadonlyArray<Rule> = [
  {
    field: "priority",
    component,
    share: 0.4,
    unasked: 0.3,
    states: [/\b(?:outages?|down|stopped|standstill|nobody can work)\b/i, /\bP1\b|highest|top priority|most urgent/i],
    denies: [/\b(?:outages?|down)\b/i, /\bP2\b|\bcan wait\b/i],
    phrasings: [
      "When a service is down for a whole team, the priority is P1.",
      "An outage gets the highest priority.",
      "P1 is for those whose work has stopped."
    ],
    contrary: "An outage of one service is P2.",
    demand: (choose) => ({
      line: `Says: ${
        choose("outage", ["none of us gets in", "the office stands still", "all tills are dark"] as const)
      }`,
      right: "P1",
      naive: "P2"
    })
  },
  {
    field: "reply_within",
    component,
    share: 0.35,
    unasked: 0.3,
    states: [/\b(?:gold|premium|contracts?|plans?)\b/i, /\b4 ?h(?:ours)?\b|\bfour hours\b/i],
    denies: [/\b(?:gold|premium|contracts?|plans?)\b/i, /\b24 ?h\b|\bnext day\b/i],
    phrasings: [
      "Customers on the gold plan get a reply within 4h.",
      "With a premium contract, reply within four hours.",
      "Plans above the standard one mean 4h until the reply."
    ],
    contrary: "Whatever the plan, the reply is due in 24h.",
    demand: (choose) => ({
      line: `Account: ${choose("plan", ["gold since 2021", "gold, 40 seats", "gold (partner)"] as const)}`,
      right: "4h",
      naive: "24h"
    })
  },
  {
    field: "severity",
    component,
    share: 0.45,
    unasked: 0.93,
    states: [
      /\b(?:questions?|how[- ]to|(?:asks?|requests?) (?:only )?for information|curious)\b/i,
      /\b(?:low|minor)\b/i
    ],
    denies: [/\bquestions?\b/i, /\b(?:high|severe)\b/i],
    phrasings: [
      "A mere question is of low severity.",
      "How-to requests are minor: severity low.",
      "Someone who only asks for information has a low severity."
    ],
    contrary: "Questions are of high severity.",
    demand: (choose) => ({
      line: `Wants: ${
        choose("want", ["where the logo is changed", "what an export costs", "how to add a seat"] as const)
      }`,
      right: "low",
      naive: "high"
    })
  },
  {
    field: "queue",
    component,
    share: 0.35,
    unasked: 0.4,
    states: [/\b(?:charges?|payments?|paying|invoices?|money|billed)\b/i, /\bbilling\b/i],
    denies: [/\b(?:charges?|payments?|paying)\b/i, /\bqueue (?:is )?app\b|\bto the app\b/i],
    phrasings: [
      "Whatever is about money goes to billing, even if the app is blamed.",
      "Route problems with payments to the queue billing.",
      "Charges and invoices belong to billing."
    ],
    contrary: "Payments that fail go to the app team.",
    demand: (choose) => ({
      line: `About: ${
        choose("about", ["app took the fee twice", "card refused by the app", "app shows old fees"] as const)
      }`,
      right: "billing",
      naive: "app"
    })
  },
  {
    field: "escalate",
    component,
    share: 0.25,
    unasked: 0.35,
    states: [/\b(?:lawyers?|legal|sue|court|solicitors?)\b/i, /\b(?:manager|escalate[sd]?|supervisor)\b/i],
    denies: [/\b(?:lawyers?|legal|court)\b/i, /\b(?:ignore|never escalate)\b/i],
    phrasings: [
      "Mentions of a lawyer are escalated to the manager.",
      "Escalate to a manager what has a legal side.",
      "Threats of court are for the manager."
    ],
    contrary: "Ignore talk of a lawyer.",
    demand: (choose) => ({
      line: `Adds: ${choose("threat", ["we have asked our counsel", "see you before a judge"] as const)}`,
      right: "manager",
      naive: null
    })
  },
  {
    field: "reply_language",
    component,
    share: 0.25,
    unasked: 0.4,
    states: [/\blanguages?\b/i, /\b(?:customer|sender|country|writes?|written)\b/i],
    denies: [/\blanguages?\b/i, /\balways\b.*\bEnglish\b/i],
    phrasings: [
      "The language of the reply is that of the sender's country.",
      "Answer in the customer's own language.",
      "Choose the language by the country the ticket comes from."
    ],
    contrary: "The language is always English.",
    demand: (choose) => {
      const [town, language] = choose("town", [["Lyon", "fr"], ["Graz", "de"], ["Porto", "pt"]] as const)
      return { line: `Sent from: ${town}`, right: language, naive: "en" }
    }
  },
  {
    field: "duplicate_of",
    component,
    share: 0.2,
    unasked: 0.3,
    states: [/\b(?:duplicates?|earlier|previous|again|already)\b/i, /\b(?:link|refer|number|id|point)\w*\b/i],
    denies: [/\bduplicates?\b/i, /\b(?:close|null)\b/i],
    phrasings: [
      "Link a duplicate to the earlier ticket by its number.",
      "If someone writes again, give the number of the previous ticket.",
      "Refer to an earlier ticket by its id."
    ],
    contrary: "Close a duplicate.",
    demand: (choose) => {
      const number = choose("number", [4410, 4523, 4607, 4718] as const)
      return { line: `Subject: Re: [${number}]`, right: number, naive: null }
    }
  }
]

const trap: Trap = {
  component,
  states: [/\b(?:when in doubt|if unsure|always|every(?:thing)?|treat (?:all|each))\b/i, /\b(?:urgent|emergency)\b/i],
  text: "When in doubt, treat a ticket as urgent.",
  helps: ["priority", "reply_within"],
  helped: 0.8,
  hurts: ["severity", "queue"],
  harm: 0.55
}

export const triageTask: TaskSpec = {
  name: "triage",
  prefix: "TR",
  title: "Ticket",
  seed: {
    [component]:
      "You sort tickets of a help desk.\nAnswer with one JSON object of the fields that the ticket calls for."
  },
  formatComponent: component,
  rules,
  traps: [trap]
}
