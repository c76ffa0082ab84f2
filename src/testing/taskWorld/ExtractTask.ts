/** Invoices to JSON: eight rules of format, each of which helps by itself. The smooth task. */
import type { Rule, TaskSpec } from "./Rule.js"

const months = ["January", "February", "March", "April", "May", "June"] as const
const days = [3, 7, 11, 18, 24, 27] as const
const two = (n: number): string => String(n).padStart(2, "0")

const component = "system_prompt"
const verbatim = /\b(as (?:it is |they are )?(?:written|printed|given|shown)|verbatim|unchanged|as[- ]is)\b/i

const rules: ReadonlyArray<Rule> = [
  {
    field: "date",
    component,
    share: 0.4,
    unasked: 0.35,
    states: [/\bdates?\b|\bdays?\b/i, /\bISO\b|8601|YYYY-MM-DD|year-month-day|year first/i],
    denies: [/\bdates?\b/i, verbatim],
    phrasings: [
      "Write dates as YYYY-MM-DD.",
      "Every date has the ISO 8601 form.",
      "Put the day of issue year first: year-month-day, with two digits for month and day."
    ],
    contrary: "Copy the date as it is written.",
    demand: (choose) => {
      const day = choose("day", days)
      const month = choose("month", months)
      const naive = `${day} ${month} 2026`
      return { line: `Issued: ${naive}`, right: `2026-${two(months.indexOf(month) + 1)}-${two(day)}`, naive }
    }
  },
  {
    field: "total",
    component,
    share: 0.4,
    unasked: 0.4,
    states: [
      /\b(?:totals?|amounts?|sums?|numbers?|prices?)\b/i,
      /decimal point|thousands? separators?|plain numbers?|without (?:separators|commas)/i
    ],
    denies: [/\b(?:totals?|amounts?|sums?)\b/i, verbatim],
    phrasings: [
      "Amounts have a decimal point and no thousands separator.",
      "Give the total as a plain number: a decimal point, nothing between the thousands.",
      "Numbers are written without thousands separators, with a decimal point."
    ],
    contrary: "Copy the total as it is printed.",
    demand: (choose) => {
      const whole = choose("whole", [1, 2, 4, 7, 12, 31] as const)
      const rest = choose("rest", [120, 250, 485, 760, 904] as const)
      return { line: `Sum: ${whole}.${rest},50`, right: `${whole}${rest}.50`, naive: `${whole}.${rest},50` }
    }
  },
  {
    field: "currency",
    component,
    share: 0.3,
    unasked: 0.45,
    states: [/\bcurrenc(?:y|ies)\b|[€£$] sign/i, /\bISO\b|4217|three[- ]letters?|\b(?:EUR|USD|GBP)\b/i],
    denies: [/\bcurrenc(?:y|ies)\b/i, /\bsymbols? (?:is|are) (?:kept|enough)|\bkeep the symbol/i],
    phrasings: [
      "The currency is its three-letter code, never a sign.",
      "Name the currency by its ISO 4217 code.",
      "Turn signs of a currency into codes such as EUR."
    ],
    contrary: "For the currency, keep the symbol.",
    demand: (choose) => {
      const [sign, code] = choose("currency", [["€", "EUR"], ["£", "GBP"], ["$", "USD"], ["¥", "JPY"]] as const)
      return { line: `Paid in: ${sign}`, right: code, naive: sign }
    }
  },
  {
    field: "supplier",
    component,
    share: 0.3,
    unasked: 0.4,
    states: [
      /\b(?:suppliers?|compan(?:y|ies)|vendors?|sellers?|firms?)\b/i,
      /legal form|\b(?:GmbH|Ltd|Inc)\b|suffix|without (?:its|the) (?:form|ending)/i
    ],
    denies: [/\b(?:suppliers?|compan(?:y|ies)|vendors?)\b/i, /\bfull (?:legal )?names?\b/i],
    phrasings: [
      "Leave the legal form off the supplier's name.",
      "The supplier goes by its name alone, without a suffix like GmbH or Ltd.",
      "Drop the legal form of a company."
    ],
    contrary: "Give the supplier with its full legal name.",
    demand: (choose) => {
      const name = choose("name", ["Berg", "Hollis", "Nakamura", "Ostrov", "Pell", "Quint"] as const)
      const naive = `${name} ${choose("form", ["GmbH", "Ltd", "Inc", "S.A."] as const)}`
      return { line: `From: ${naive}`, right: name, naive }
    }
  },
  {
    field: "tax_id",
    component,
    share: 0.25,
    unasked: 0.35,
    states: [/\b(?:missing|absent|not (?:given|there|stated|known)|unknown|empty)\b/i, /\bnull\b/i],
    denies: [/\b(?:missing|absent|not (?:given|there)|unknown)\b/i, /"unknown"|\bwrite unknown\b/i],
    phrasings: [
      "What is missing is null.",
      "Use null for anything that is not given.",
      "A field whose value is not known holds null, never a word."
    ],
    contrary: "For what is missing, write unknown.",
    demand: (choose) => ({
      line: `Tax id: ${choose("blank", ["-", "n/a", "(none)", "see contract"] as const)}`,
      right: null,
      naive: "unknown"
    })
  },
  {
    field: "kind",
    component,
    share: 0.25,
    unasked: 0.3,
    states: [/\bcredit\b|\brefunds?\b/i, /\bcredit[_ ]note\b.*\bkind\b|\bkind\b.*\bcredit\b|\bkind\b.*\brefund/i],
    denies: [/\bkind\b/i, /\balways\b.*\binvoice\b/i],
    phrasings: [
      "When money goes back to the customer, the kind is credit.",
      "The kind of a credit note is credit.",
      "Documents that return money are of kind credit, however they are headed."
    ],
    contrary: "The kind is always invoice.",
    demand: (choose) => ({
      line: `Heading: ${choose("heading", ["Invoice (reversal)", "Correction of invoice", "Goods returned"] as const)}`,
      right: "credit",
      naive: "invoice"
    })
  },
  {
    field: "due",
    component,
    share: 0.25,
    unasked: 0.3,
    states: [/\bdue\b|\bpayable\b|\bpayment term/i, /\b30 days\b|\bthirty days\b/i],
    denies: [/\bdue\b/i, /\bday of issue\b|\bat once\b|\bimmediately\b/i],
    phrasings: [
      "Without a term of payment, an invoice is due in 30 days.",
      "If nothing is said of when to pay, due is 30 days.",
      "Where no payment term stands, take thirty days."
    ],
    contrary: "What has no term is due at once.",
    demand: (choose) => ({
      line: `Payable: ${choose("term", ["as usual", "as agreed", "on receipt of goods"] as const)}`,
      right: "30 days",
      naive: choose("naive", [null, "as usual"] as const)
    })
  },
  {
    field: "phone",
    component,
    share: 0.2,
    unasked: 0.4,
    states: [/\b(?:tele)?phones?\b/i, /E\.?164|\bno spaces\b|\bwithout spaces\b|\bdigits only\b|country code/i],
    denies: [/\b(?:tele)?phones?\b/i, verbatim],
    phrasings: [
      "Phone numbers have the country code and no spaces.",
      "Write a telephone number without spaces, E.164.",
      "A phone is a plus sign and digits only."
    ],
    contrary: "Copy the phone as it is printed.",
    demand: (choose) => {
      const number = choose("number", ["170 55 12", "221 90 44", "301 77 08", "421 63 15"] as const)
      return { line: `Call: +49 ${number}`, right: `+49${number.replaceAll(" ", "")}`, naive: `+49 ${number}` }
    }
  }
]

export const extractTask: TaskSpec = {
  name: "extract",
  prefix: "EX",
  title: "Document",
  seed: {
    [component]: "You read business documents.\nAnswer with one JSON object of the fields that the document has."
  },
  formatComponent: component,
  rules,
  traps: []
}
