/** Why a file could not be read or written, in words where there are better ones than the system's. */
export const fileTrouble = (
  { code, message }: { readonly code?: string | undefined; readonly message: string }
): string => code === undefined ? message : words[code] ?? message

const words: Record<string, string> = {
  EACCES: "permission denied",
  // Of a folder that was to be made.
  EEXIST: "a file stands where a folder was expected",
  EISDIR: "a folder stands where a file was expected",
  ELOOP: "a link stands where a file was expected",
  ENOENT: "no such file or folder",
  ENOTDIR: "a file stands where a folder was expected",
  ENOSPC: "the disk is full",
  EPERM: "permission denied",
  EROFS: "the file system cannot be written"
}
