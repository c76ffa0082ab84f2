/** An error as OpenAI's API answers it, so that every client shows our own failures as it shows a provider's. */
export interface ErrorBody {
  readonly error: {
    readonly message: string
    readonly type: string
    readonly param: string | null
    readonly code: string | null
  }
}

export const errorBody = (
  message: string,
  { code = null, param = null, type }: {
    readonly code?: string | null
    readonly param?: string | null
    readonly type: string
  }
): ErrorBody => ({ error: { message, type, param, code } })
