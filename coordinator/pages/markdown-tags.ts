/**
 * The few tags of HTML that reports for Buildkite are written with, read as Markdown of their own: a block of lines from
 * `<details>` to `</details>` with a `<summary>`, and within a line `<code>…</code>`, `<br>` and `<a href="…">words</a>`.
 * Each is taken only as written here, without any attribute but `open` and `href`, and only whole, so that nothing can
 * stay open; an address is judged as one of Markdown is; all else is text.
 */
import type { MarkdownIt, StateInline } from 'markdown-it'

const OPEN = /^<details(?<open> open)?>(?:<summary>(?<summary>.*)<\/summary>)?$/i
const CLOSE = /^<\/details>$/i
const SUMMARY = /^<summary>(.*)<\/summary>$/i
const CODE = /<code>([^<\n]{1,2000})<\/code>/iy
const LINK = /<a href=(["'])([^"'<>\s]{1,2000})\1>([^<\n]{1,500})<\/a>/iy
const BREAK = /<br ?\/?>/iy

export function readSomeTags(markdown: MarkdownIt): void {
  markdown.block.ruler.before('fence', 'details', (state, start, end, isTest) => {
    if (state.blkIndent !== 0 || !['root', 'paragraph', 'details'].includes(state.parentType)) return false
    const lines = (state.env['lines'] ??= state.src.split('\n')) as readonly string[] // set here alone
    const pairs = (state.env['details'] ??= pairsIn(lines)) as ReadonlyMap<number, number> // likewise
    const close = pairs.get(start)
    if (close === undefined || close >= end) return false
    if (isTest) return true

    const { open, summary } = OPEN.exec(trimmed(lines, start))?.groups ?? {}
    const opened = state.push('details_open', 'details', 1)
    opened.block = true
    if (open !== undefined) opened.attrSet('open', '')
    const next = state.skipEmptyLines(start + 1)
    const own = summary === undefined ? SUMMARY.exec(trimmed(lines, next))?.[1] : undefined
    const title = summary ?? (next < close ? own : undefined)
    if (title !== undefined) {
      state.push('summary_open', 'summary', 1)
      const inline = state.push('inline', '', 0)
      inline.content = title
      inline.map = [start, next]
      inline.children = []
      state.push('summary_close', 'summary', -1)
    }
    const { parentType, lineMax } = state
    state.parentType = 'details'
    state.lineMax = close
    state.md.block.tokenize(state, own !== undefined && next < close ? next + 1 : start + 1, close)
    state.parentType = parentType
    state.lineMax = lineMax
    state.push('details_close', 'details', -1).block = true
    state.line = close + 1
    return true
  }, { alt: ['paragraph', 'reference'] })

  markdown.inline.ruler.before('autolink', 'some_tags', (state, isTest) => {
    if (state.src.charCodeAt(state.pos) !== LESS_THAN) return false
    const link = at(LINK, state.src, state.pos)
    if (link !== null) return readLink(state, link, { isTest })
    const [code, text = ''] = at(CODE, state.src, state.pos) ?? []
    const [line] = code === undefined ? (at(BREAK, state.src, state.pos) ?? []) : []
    const found = code ?? line
    if (found === undefined || state.pos + found.length > state.posMax) return false
    if (!isTest) {
      if (code === undefined) state.push('hardbreak', 'br', 0)
      else state.push('code_inline', 'code', 0).content = inWords(text)
    }
    state.pos += found.length
    return true
  })
}

const LESS_THAN = 0x3c
const SIGNS = { lt: '<', gt: '>', quot: '"', amp: '&' } as const

/** False leaves it as text: it may lead nowhere. */
function readLink(state: StateInline, [all, , address = '', words = '']: RegExpExecArray, { isTest }: { readonly isTest: boolean }): boolean {
  const href = state.md.normalizeLink(inWords(address))
  if (state.pos + all.length > state.posMax || !state.md.validateLink(href)) return false
  if (!isTest) {
    state.push('link_open', 'a', 1).attrs = [['href', href]]
    state.push('text', '', 0).content = inWords(words)
    state.push('link_close', 'a', -1)
  }
  state.pos += all.length
  return true
}

function inWords(text: string): string {
  return text.replace(/&(lt|gt|quot|amp);/g, (_all, name: keyof typeof SIGNS) => SIGNS[name])
}

/** The lines that open a block, with those that close it. */
function pairsIn(lines: readonly string[]): ReadonlyMap<number, number> {
  const pairs = new Map<number, number>()
  const open: number[] = []
  for (let line = 0; line < lines.length; line += 1) {
    const text = trimmed(lines, line)
    if (OPEN.test(text)) open.push(line)
    else if (CLOSE.test(text)) pairs.set(open.pop() ?? -1, line)
  }
  return pairs
}

function trimmed(lines: readonly string[], line: number): string {
  return lines[line]?.trim() ?? ''
}

function at(pattern: RegExp, text: string, position: number): RegExpExecArray | null {
  pattern.lastIndex = position
  return pattern.exec(text)
}
