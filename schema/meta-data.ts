/**
 * Meta-data of a build: texts by keys that its jobs set and read, and what people answer when a block asks them. What a
 * key and a value may be; what one build may hold is kept in `coordinator/core/meta-data.ts`.
 */
import { utf8Bytes } from './utf8.ts'

export const META_DATA_LIMITS = {
  keyBytes: 100,
  valueBytes: 100 * 1024,
  /** Of one build. */
  keys: 1000,
  /** Keys and values of one build together. */
  bytes: 1024 * 1024,
} as const

/** What is wrong with it, as it goes on after the name of what is wrong; null: nothing. Any character will do but those that no store gives back as they were. */
export function mistakeInKey(key: string): string | null {
  if (key.trim() === '') return 'must not be empty or white space only'
  if (utf8Bytes(key) > META_DATA_LIMITS.keyBytes) return `must be at most ${META_DATA_LIMITS.keyBytes} bytes`
  return mistakeInText(key)
}

/** Likewise. An empty value is refused, since scripts could not tell it from none. */
export function mistakeInValue(value: string): string | null {
  if (value.trim() === '') return 'must not be empty or white space only'
  if (value.length > META_DATA_LIMITS.valueBytes || utf8Bytes(value) > META_DATA_LIMITS.valueBytes) return `must be at most ${META_DATA_LIMITS.valueBytes / 1024} KiB; keep more than that elsewhere, and its address here`
  return mistakeInText(value)
}

/** What a build is charged for it. */
export function bytesOfEntry(key: string, value: string): number {
  return utf8Bytes(key) + utf8Bytes(value)
}

function mistakeInText(text: string): string | null {
  if (text.includes('\0')) return 'must not hold a NUL character'
  return text.isWellFormed() ? null : 'must not hold half of a character (an unpaired surrogate)'
}
