/** What a key and a value of meta-data may be. */
import { describe, expect, it } from 'vitest'
import { metaDataGet, metaDataSet } from '../../schema/job-calls.ts'
import { bytesOfEntry, META_DATA_LIMITS, mistakeInKey, mistakeInValue } from '../../schema/meta-data.ts'

describe('a key', () => {
  it.each(['a', 'release/name', '__proto__', 'constructor', 'toString', 'a key with spaces', '../../etc', 'a\nb', '-x', '日本', '%2F?#', '\u202e', 'x'.repeat(100)])('may be %j', (key) => {
    expect(mistakeInKey(key)).toBeNull()
    expect(metaDataGet.parse({ key })).toEqual({ key })
  })

  it.each([['', 'empty'], [' \t\n', 'empty'], ['x'.repeat(101), '100 bytes'], ['日'.repeat(34), '100 bytes'], ['a\0b', 'NUL'], ['a\ud800', 'surrogate']])('may not be %j', (key, why) => {
    expect(mistakeInKey(key)).toContain(why)
    expect(metaDataGet.safeParse({ key }).success).toBe(false)
  })
})

describe('a value', () => {
  it('may be long, of many lines, and of any language', () => {
    for (const value of ['0', 'null', ' a ', 'a\r\nb\n', '日本', 'x'.repeat(META_DATA_LIMITS.valueBytes)]) expect(mistakeInValue(value)).toBeNull()
  })

  it.each([['', 'empty'], ['\n', 'empty'], ['x'.repeat(META_DATA_LIMITS.valueBytes + 1), '100 KiB'], ['日'.repeat(40_000), '100 KiB'], ['x'.repeat(1024 * 1024), '100 KiB'], ['a\0', 'NUL'], ['\udfff', 'surrogate']])('may not be what begins with %.10j', (value, why) => {
    expect(mistakeInValue(value)).toContain(why)
    expect(metaDataSet.safeParse({ key: 'a', value }).success).toBe(false)
  })
})

it('an entry is charged in UTF-8', () => {
  expect(bytesOfEntry('a', 'é日😀')).toBe(1 + 2 + 3 + 4)
})
