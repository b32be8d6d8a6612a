/** How many bytes, as people read it: `1 byte`, `4.2 KiB`, `10 GiB`. */

const UNITS = [['GiB', 2 ** 30], ['MiB', 2 ** 20], ['KiB', 2 ** 10]] as const

export function bytesInWords(bytes: number): string {
  for (const [unit, size] of UNITS) if (bytes >= size) return `${bytes % size === 0 ? bytes / size : (bytes / size).toFixed(1)} ${unit}`
  return bytes === 1 ? '1 byte' : `${bytes} bytes`
}
