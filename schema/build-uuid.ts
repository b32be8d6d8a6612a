/** BUILDKITE_BUILD_ID, of the SHA-256 (hex digits) of the build's URL; its version says that it is made of something (RFC 9562, 5.8). */
export function buildUuid(hex: string): string {
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 0b0011) | 0b1000).toString(16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
