/* oxlint-disable no-control-regex -- control characters are what this file is about. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createAnsi } from '../../../coordinator/pages/ansi.ts'

const ESC = '\u001b'

/** All lines of a whole output, the unfinished one last. */
function lines(...chunks: readonly (string | Uint8Array)[]): readonly string[] {
  const ansi = createAnsi()
  const finished = chunks.flatMap((chunk) => ansi.push(chunk))
  const rest = ansi.unfinished()
  return rest === null ? finished : [...finished, rest]
}

describe('lines', () => {
  it('a line is finished by its newline, and what follows is unfinished', () => {
    expect(lines('one\ntwo\r\n\nthree')).toEqual(['one', 'two', '', 'three'])
    expect(createAnsi().unfinished()).toBeNull()
  })

  it('a carriage return overwrites from the left and keeps what it does not reach', () => {
    expect(lines('10 % done\r100\n')).toEqual(['100% done'])
    expect(lines(`${ESC}[31mred${ESC}[0m\rB\n`)).toEqual(['B<span class="f1">ed</span>'])
  })

  it('erase-line clears to the end, to the start or all of it', () => {
    expect(lines(`downloading\r${ESC}[Kdone\n`)).toEqual(['done'])
    expect(lines(`abc${ESC}[1K\rx\n`)).toEqual(['x'])
    expect(lines(`abc${ESC}[2K\rx\n`)).toEqual(['x'])
  })

  it('backspace and column moves stay within the line', () => {
    expect(lines('ab\b\b\b\bX\n')).toEqual(['Xb'])
    expect(lines(`abc${ESC}[1GX${ESC}[999GY\n`)).toEqual(['XbcY'])
  })

  it('an endless line is cut, and says by how much', () => {
    const [line] = lines(`${'x'.repeat(10_000)}\n`)
    expect(line).toContain('… 1808 more characters on this line')
    expect(line).toMatch(/^x{8192}</)
  })
})

describe('colours', () => {
  it.each([
    ['31', 'f1'],
    ['91', 'f9'],
    ['44', 'g4 on'],
    ['104', 'g12 on'],
    ['38;5;208', 'f208'],
    ['48:5:17', 'g17 on'],
    ['38;2;255;135;0', 'f208'],
    ['38:2::255:135:0', 'f208'],
    ['38:2:255:135:0', 'f208'],
    ['38;2;128;128;128', 'f244'],
    ['1;2;3;4;9', 'b d i u s'],
    ['7', 'fi gi on'],
    ['7;31', 'fi v1 on'],
    ['7;38;5;99', 'fi g99 on'],
    ['38;5;1;4', 'f1 u'],
  ])('SGR %s gives the classes "%s"', (parameters, classes) => {
    expect(lines(`${ESC}[${parameters}mx`)).toEqual([`<span class="${classes}">x</span>`])
  })

  it.each(['0', '', '39;49;22;23;24;27;29', '1;22;31;39'])('SGR %s gives the plain pen back', (parameters) => {
    expect(lines(`${ESC}[1;2;3;4;7;9;31;42m${ESC}[0m${ESC}[${parameters}mx`)).toEqual(['x'])
  })

  it.each(['38;5;256', '38;5', '38', '38;2;1;2', '?25', '>4;2', '999'])('SGR %s, which means nothing, changes nothing', (parameters) => {
    expect(lines(`${ESC}[${parameters}mx`)).toEqual(['x'])
  })

  it('colour lasts over the newline, and the pen carries it elsewhere', () => {
    const ansi = createAnsi()
    expect(ansi.push(`${ESC}[1;38;5;208mone\n`)).toEqual(['<span class="f208 b">one</span>'])
    expect(lines(`${ansi.pen()}two`)).toEqual(['<span class="f208 b">two</span>'])
  })
})

describe('everything else', () => {
  it('other escapes, strings and controls are dropped whole', () => {
    expect(lines(`a${ESC}[2J${ESC}[?25l${ESC}[3A${ESC}(B${ESC}=${ESC}7b${ESC}]0;title\u0007c${ESC}Pq#0;2${ESC}\\d\u0000\u0007\u007fe\u009b31m\n`)).toEqual(['abcde'])
  })

  it('a string that never ends takes no more than its line', () => {
    expect(lines(`${ESC}]0;title\nnext\n`)).toHaveLength(2)
    expect(lines(`${ESC}]0;${'x'.repeat(5000)}`, 'y\nnext').at(-1)).toBe('next')
  })

  it('links lead to http and https only', () => {
    const link = (url: string) => lines(`${ESC}]8;;${url}${ESC}\\here${ESC}]8;;${ESC}\\ x`)
    expect(link('https://example.org/a?b=1&c="')).toEqual(['<a href="https://example.org/a?b=1&amp;c=%22" rel="noopener noreferrer nofollow">here</a> x'])
    for (const url of ['javascript:alert(1)', 'data:text/html,x', 'file:///etc/passwd', 'https://bank.example@evil.example/', '//x', '']) expect(link(url)).toEqual(['here x'])
  })

  it('markup is escaped', () => {
    expect(lines('<script>alert("1" & \'2\')</script>')).toEqual(['&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)&lt;/script&gt;'])
  })
})

const piece = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('\n', '\r', '\b', ESC, `${ESC}[`, `${ESC}]8;;https://a.example/${ESC}\\`, `${ESC}]8;;`, '"onclick="x', '<img src=x>', '\u009b', '\u0007', `${ESC}[K`, `${ESC}[1K`, `${ESC}[2K`, '👩‍🚀', '\ud83d'),
  fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 6 }).map((codes) => `${ESC}[${codes.join(';')}m`),
)
const output = fc.array(piece, { maxLength: 40 }).map((pieces) => new TextEncoder().encode(pieces.join('')))

describe('whatever the output', () => {
  it('nothing but known tags, classes and entities comes out', () => {
    fc.assert(
      fc.property(output, (bytes) => {
        for (const line of lines(bytes)) {
          const text = line.replace(/<span class="[a-z0-9 ]+">|<\/span>|<a(?: class="[a-z0-9 ]+")? href="https?:\/\/[^"<>]*" rel="noopener noreferrer nofollow">|<\/a>|&(?:amp|lt|gt|quot|#39);/g, '')
          expect(text).not.toMatch(/[<>&"'\u0000-\u0008\u000a-\u001f\u007f-\u009f]/)
          expect(text.isWellFormed()).toBe(true)
        }
      }),
      { numRuns: 500 },
    )
  })

  it('where the chunks are cut makes no difference', () => {
    fc.assert(
      fc.property(output, fc.nat(), (bytes, where) => {
        const cut = bytes.length === 0 ? 0 : where % bytes.length
        expect(lines(bytes.subarray(0, cut), bytes.subarray(cut))).toEqual(lines(bytes))
      }),
      { numRuns: 500 },
    )
  })
})

it('a string ends at the next control, so what follows its beginning is shown unless it is closed', () => {
  expect(lines(`${'\u0090a'.repeat(3)}b\n`)).toEqual(['aaab'])
  expect(lines('\u009d0;title\u009cshown \u0090q\u009cas well')).toEqual(['shown as well'])
})
