/** An error as OpenAI's API answers it, so that every client shows our own failures as it shows a provider's. */
export interface ErrorBody {
  readonly error: {
    readonly message: string
    readonly type: string
    readonly param: string | null
    readonly code: string | null
  }
}

/** Of the type `proxy_error` unless told otherwise. */
export const errorBody = (
  message: string,
  { code = null, param = null, type = "proxy_error" }: {
    readonly code?: string | null
    readonly param?: string | null
    readonly type?: string
  } = {}
): ErrorBody => ({ error: { message, type, param, code } })
