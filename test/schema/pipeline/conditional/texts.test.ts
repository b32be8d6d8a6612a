import { describe, expect, it } from 'vitest'
import { kindOf, verdict } from '../../../support/conditions.ts'

const env = { NAME: 'release', EMPTY: '', TWO: '2', WIDE: 'añ🚀z' }

describe('a text in double quotes', () => {
  it('has escapes, named and by the number of a byte', () => {
    expect(verdict(String.raw`"\s\"\\\q" == ' "\\q'`)).toBe(true)
    expect(verdict(String.raw`"\x41\102" == "AB"`)).toBe(true)
    expect(verdict(String.raw`"\x4" == "x4"`)).toBe(true)
  })

  it('makes a character of bytes that are one, and of others what equals no character', () => {
    expect(verdict(String.raw`"\xc3\xb1" == "ñ" && "\360\237\232\200" == "🚀"`)).toBe(true)
    expect(verdict(String.raw`"\xf1" == "ñ"`)).toBe(false)
    expect(verdict(String.raw`"\xf1" == "\361"`)).toBe(true)
    expect(verdict('"🚀" == \'🚀\'')).toBe(true)
    expect(verdict(String.raw`"🃃\xb1" =~ /^🃃/`)).toBe(true)
  })

  it('has no escape beyond a byte', () => {
    expect(verdict(String.raw`"a\400" == "a"`)).toBe(String.raw`parse at «\»: "\400" is more than a byte, which ends at "\377".`)
  })

  it('has variables in it, of which one that is not set is nothing', () => {
    expect(verdict('"to-${NAME}" == "to-release" && "$NONE!" == "!" && "$NAME.zip" == "release.zip"', { env })).toBe(true)
  })

  it('has a dollar sign where it is escaped, doubled, or no variable follows', () => {
    expect(verdict(String.raw`"\$NAME" == '$NAME' && "$$NAME" == '$NAME' && "$1 $" == '$1 $'`, { env })).toBe(true)
    expect(verdict('"${" == \'${\'')).toBe(true)
  })
})

describe('a text in single quotes', () => {
  it('says what is written, but for an escaped quote or backslash', () => {
    expect(verdict(String.raw`'\n$NAME\'\\' == "\\n\$NAME'\\"`, { env })).toBe(true)
  })
})

describe('a variable as a shell writes it', () => {
  it.each([
    ['$NAME == "release"', true],
    ['$NAME.zip == "release.zip"', true],
    ['$NONE == null', true],
    ['$NONE.zip == ".zip"', true],
    ['${NONE} == null', true],
    ['${NONE-x} == "x"', true],
    ['${EMPTY-x} == ""', true],
    ['${EMPTY:-x} == "x"', true],
    ['${NAME+x} == "x"', true],
    ['${NONE+x} == ""', true],
    ['${EMPTY:+x} == ""', true],
    ['${NAME:?} == "release"', true],
    ['${NONE:-${NAME}} == "release"', true],
    [`\${NONE:-"}"} == "}"`, true],
    [`\${NONE:-'$NAME'} == '$NAME'`, true],
    [`\${NONE:-'}'} == "}"`, true],
    [`\${NONE:-"it's"} == "it's"`, true],
    ['${NONE:-"$NAME"} == "release"', true],
    ['${NAME:2} == "lease"', true],
    ['${NAME:0:2} == "re"', true],
    ['${NAME: -2} == "se"', true],
    ['${NAME:-2} == "release"', true],
    ['${NAME:1:-1} == "eleas"', true],
    ['${NAME:99:1} == ""', true],
    ['${NAME:${TWO}:$TWO} == "le"', true],
    ['${WIDE:2:1} == "🚀"', true],
    ['${NONE:1} == null', true],
  ])('%s is %s', (text, holds) => {
    expect(verdict(text, { env })).toBe(holds)
  })

  it('can be demanded', () => {
    expect(verdict('${NONE?} == "a"')).toBe('evaluation at «${NONE?}»: the variable "NONE" is not set; set it, or give it a default: "${NAME:-…}".')
    expect(kindOf('${EMPTY:?} == "a"', { env })).toBe('evaluation')
  })

  it('is wrong only when it is come to', () => {
    for (const text of ['${1} == "a"', '${NAME@} == "a"', '${NAME:x} == "a"', '${NAME:1:2:3} == "a"', '${NONE:-\\400} == "a"', '${NONE:-"${NONE:?}"} == "a"']) {
      expect(kindOf(text, { env }), text).toBe('evaluation')
      expect(verdict(`false && ${text}`, { env }), text).toBe(false)
    }
  })
})
