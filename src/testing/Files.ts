/** Files that clients upload to the simulated server, kept in memory while it runs. */
import { errorBody } from "../openai/ErrorBody.js"
import { idOf } from "./Chance.js"
import { created } from "./ChatAnswer.js"
import { Refusal, refusal } from "./ChatRequest.js"
import type { SimulatedRequest } from "./Routes.js"

/** Most files and bytes at a time; the oldest make room. */
const filesMax = 100
const bytesMax = 256 * 1024 * 1024

interface StoredFile {
  readonly description: { readonly id: string; readonly bytes: number }
  readonly content: Uint8Array
  readonly contentType: string
}

export type FileAnswer =
  | Refusal
  | { readonly json: object; readonly served: null }
  | { readonly bytes: Uint8Array; readonly contentType: string }

const json = (value: object): FileAnswer => ({ json: value, served: null })

export class Files {
  private readonly files = new Map<string, StoredFile>()

  /** Answers `/v1/files` and what is below it; `rest` is the path after `/v1/files`. */
  async answer(request: SimulatedRequest, rest: string): Promise<FileAnswer> {
    if (rest === "") {
      if (request.method === "POST") return this.upload(request)
      const data = [...this.files.values()].map(({ description }) => description)
      if (request.method !== "GET") return notAllowed(request, "GET, POST")
      return json({
        object: "list",
        data,
        has_more: false,
        first_id: data[0]?.id ?? null,
        last_id: data.at(-1)?.id ?? null
      })
    }
    const [id, part] = rest.slice(1).split("/", 2)
    const file = this.files.get(id!)
    if (file === undefined) return refusal(404, `No such File object: ${id!.slice(0, 200)}`, null, "id")
    if (part === "content" && request.method === "GET") return { bytes: file.content, contentType: file.contentType }
    if (part === undefined && request.method === "GET") return json(file.description)
    if (part === undefined && request.method === "DELETE") {
      this.files.delete(id!)
      return json({ id, object: "file", deleted: true })
    }
    return notAllowed(request, "GET, DELETE")
  }

  private async upload({ body, headers }: SimulatedRequest): Promise<FileAnswer> {
    const contentType = headers["content-type"] ?? ""
    const form = await new Response(new Uint8Array(body), { headers: { "content-type": contentType } }).formData()
      .catch(() => null)
    const file = form?.get("file")
    if (form === null || typeof file !== "object" || file === null) {
      return refusal(400, "'file' is a required property", "missing_required_parameter", "file")
    }
    const content = new Uint8Array(await file.arrayBuffer())
    const id = `file-sim-${idOf(file.name, String(content.length), Buffer.from(content).toString("base64"))}`
    const purpose = form.get("purpose")
    const description = {
      id,
      object: "file",
      bytes: content.length,
      created_at: created,
      expires_at: null,
      filename: file.name,
      purpose: typeof purpose === "string" ? purpose : "user_data",
      status: "processed",
      status_details: null
    }
    this.files.delete(id)
    this.files.set(id, { description, content, contentType: file.type || "application/octet-stream" })
    this.makeRoom()
    return json(description)
  }

  private makeRoom(): void {
    let bytes = [...this.files.values()].reduce((sum, { description }) => sum + description.bytes, 0)
    for (const [id, { description }] of this.files) {
      if (this.files.size <= filesMax && bytes <= bytesMax) return
      this.files.delete(id)
      bytes -= description.bytes
    }
  }
}

/** The answer to a method that the path does not know. */
export const notAllowed = ({ method, path }: SimulatedRequest, allow: string): Refusal =>
  new Refusal(
    405,
    errorBody(`Not allowed to ${method} on ${path}.`, { type: "invalid_request_error", code: "method_not_supported" }),
    { allow }
  )
