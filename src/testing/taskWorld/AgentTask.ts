/** A travel desk with a tool: some rules belong into the system prompt, some into the description of the tool. */
import type { Rule, TaskSpec } from "./Rule.js"

const system = "system_prompt"
const tool = "search_tool"

const rules: ReadonlyArray<Rule> = [
  {
    field: "cabin",
    component: system,
    share: 0.35,
    unasked: 0.35,
    states: [/\b(?:6|six) hours\b|\blong[- ](?:haul|flights?)\b/i, /\bbusiness\b/i],
    denies: [/\blong[- ](?:haul|flights?)\b/i, /\beconomy\b/i],
    phrasings: [
      "Book business for flights of more than six hours.",
      "Long-haul travellers fly business.",
      "From 6 hours in the air on, the cabin is business."
    ],
    contrary: "Long flights are booked in economy.",
    demand: (choose) => ({
      line: `Time in the air: ${choose("time", ["7 h 10", "9 h 40", "11 h 05"] as const)}`,
      right: "business",
      naive: "economy"
    })
  },
  {
    field: "approval",
    component: system,
    share: 0.3,
    unasked: 0.35,
    states: [/\b(?:2,?000|two thousand)\b|\bexpensive\b/i, /\b(?:approv\w+|head|boss|manager)\b/i],
    denies: [/\bapprov\w+\b/i, /\b(?:not needed|never|no)\b/i],
    phrasings: [
      "Trips above 2000 need the approval of the head of department.",
      "Ask the manager to approve anything over two thousand.",
      "Expensive trips wait for approval."
    ],
    contrary: "No approval is needed.",
    demand: (choose) => ({
      line: `Estimate: ${choose("estimate", [2150, 2480, 3900, 5200] as const)}`,
      right: "head",
      naive: null
    })
  },
  {
    field: "hotel",
    component: system,
    share: 0.3,
    unasked: 0.4,
    states: [/\b(?:hotels?|overnight|rooms?)\b/i, /\b(?:walk\w*|near\w*|close to|next to)\b/i],
    denies: [/\bhotels?\b/i, /\bcheapest\b/i],
    phrasings: [
      "Choose a hotel within walking distance of the meeting.",
      "The hotel is the one nearest to where the traveller is expected.",
      "For overnight stays, stay close to the venue."
    ],
    contrary: "Choose the cheapest hotel.",
    demand: (choose) => ({
      line: `Stays over: yes, meets at ${choose("venue", ["the harbour", "the town hall", "the campus"] as const)}`,
      right: "nearest",
      naive: "cheapest"
    })
  },
  {
    field: "train",
    component: system,
    share: 0.25,
    unasked: 0.35,
    states: [/\b(?:trains?|rail)\b/i, /\b(?:500 ?km|short|domestic|instead of)\b/i],
    denies: [/\btrains?\b/i, /\b(?:never|avoid)\b/i],
    phrasings: [
      "Below 500 km, take the train.",
      "Rail instead of a flight on short trips.",
      "Short and domestic trips go by train."
    ],
    contrary: "Avoid the train.",
    demand: (choose) => ({
      line: `Distance: ${choose("distance", ["210 km", "340 km", "460 km"] as const)}`,
      right: "yes",
      naive: "no"
    })
  },
  {
    field: "query_airport",
    component: tool,
    share: 0.4,
    unasked: 0.35,
    states: [/\b(?:airports?|cit(?:y|ies)|from|to|places?)\b/i, /\bIATA\b|\bthree[- ]letter\b|\bcodes?\b/i],
    denies: [/\b(?:airports?|cit(?:y|ies))\b/i, /\b(?:full name|by name)\b/i],
    phrasings: [
      "Airports are given as IATA codes.",
      "Pass the three-letter code of the city, not its name.",
      "For places it takes codes such as LHR."
    ],
    contrary: "Give airports by name.",
    demand: (choose) => {
      const [city, code] = choose(
        "city",
        [["Oslo", "OSL"], ["Vienna", "VIE"], ["Lisbon", "LIS"], ["Rome", "FCO"]] as const
      )
      return { line: `Flies to: ${city}`, right: code, naive: city }
    }
  },
  {
    field: "query_window",
    component: tool,
    share: 0.3,
    unasked: 0.3,
    states: [/\b(?:times?|window|hours?|depart\w*|arriv\w*)\b/i, /\bUTC\b|\butc\b|\bZulu\b/i],
    denies: [/\b(?:times?|window)\b/i, /\blocal\b/i],
    phrasings: [
      "Times are in UTC.",
      "The window of departure is searched in UTC.",
      "It expects hours in UTC."
    ],
    contrary: "Times are local ones.",
    demand: (choose) => {
      const hour = choose("hour", [7, 9, 13, 16] as const)
      return { line: `Leaves at: ${hour}:00 (UTC+2)`, right: `${hour - 2}:00Z`, naive: `${hour}:00` }
    }
  },
  {
    field: "query_flexible",
    component: tool,
    share: 0.25,
    unasked: 0.35,
    states: [/\bflexib\w+\b|\bdays? (?:either|around)\b|\b[±+]/i, /\b(?:true|set|range|days)\b/i],
    denies: [/\bflexib\w+\b/i, /\b(?:false|leave out|ignore)\b/i],
    phrasings: [
      "Set flexible to the number of days when the traveller can move the trip.",
      "Flexible dates are a range in days.",
      "When days around the date are fine too, set how many."
    ],
    contrary: "Leave out flexible.",
    demand: (choose) => {
      const span = choose("span", [1, 2, 3] as const)
      return { line: `Could also go ${span} d earlier or later`, right: span, naive: 0 }
    }
  }
]

export const agentTask: TaskSpec = {
  name: "agent",
  prefix: "AG",
  title: "Trip",
  seed: {
    [system]:
      "You are a travel desk with a search for flights.\nAnswer with one JSON object of the fields that the trip calls for.",
    [tool]: "Searches flights."
  },
  formatComponent: system,
  rules,
  traps: []
}
