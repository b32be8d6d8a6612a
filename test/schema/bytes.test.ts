import { expect, it } from 'vitest'
import { bytesInWords } from '../../schema/bytes.ts'

it.each([[0, '0 bytes'], [1, '1 byte'], [1023, '1023 bytes'], [1024, '1 KiB'], [1500, '1.5 KiB'], [2 ** 20 - 1, '1024.0 KiB'], [32 * 2 ** 20, '32 MiB'], [10 * 2 ** 30 + 1, '10.0 GiB']])('%d is %s', (bytes, words) => {
  expect(bytesInWords(bytes)).toBe(words)
})
