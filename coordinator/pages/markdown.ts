/**
 * Markdown of a build's jobs to HTML. It is hostile: HTML in it is text, but for four bare tags and plain links, links lead only where a click may safely go,
 * and nothing is loaded from anywhere, since a picture would tell its owner who looks at the build. What comes out has
 * no attribute but `href`, `rel`, `title`, `class`, `start` and `open`, which a body fills with escaped text; the page's
 * Content-Security-Policy stands behind that.
 */
import MarkdownIt, { type Env, type MarkdownIt as Markdown } from 'markdown-it'
import { createAnsi } from './ansi.ts'
import { withEmoji } from './emoji.ts'
import { escaped } from './escape.ts'
import { readSomeTags } from './markdown-tags.ts'

/** As HTML that may stand anywhere in a page; `artifacts` is the address below which those of the build are. */
export function renderMarkdown(text: string, artifacts: string): string {
  return (renderer ??= createRenderer()).render(text, { artifacts })
}

/** Made when the first annotation is shown: most isolates never need it. */
let renderer: Markdown | null = null

function createRenderer(): Markdown {
  const markdown = new MarkdownIt('default', { html: false, linkify: true })
  markdown.validateLink = isSafe
  readSomeTags(markdown)
  const { rules } = markdown.renderer

  rules['link_open'] = (tokens, index, options, env, self) => {
    within(env, 1)
    const token = tokens[index]
    token?.attrSet('href', resolved(String(token.attrGet('href') ?? ''), env))
    token?.attrSet('rel', 'noopener noreferrer nofollow')
    return self.renderToken(tokens, index, options)
  }
  rules['link_close'] = (tokens, index, options, env, self) => {
    within(env, -1)
    return self.renderToken(tokens, index, options)
  }
  // A picture is where it is; within a link, what it shows.
  rules['image'] = (tokens, index, options, env, self) => {
    const token = tokens[index]
    const href = resolved(String(token?.attrGet('src') ?? ''), env)
    const shown = escaped(self.renderInlineAsText(token?.children ?? [], options, env) || href)
    return within(env, 0) > 0 ? shown : `<a href="${escaped(href)}" rel="noopener noreferrer nofollow">${shown}</a>`
  }
  // The page's own headings come before those of an annotation.
  for (const rule of ['heading_open', 'heading_close']) {
    rules[rule] = (tokens, index, options, _env, self) => {
      const token = tokens[index]
      if (token !== undefined) token.tag = `h${Math.min(6, Number(token.tag.slice(1)) + 2)}`
      return self.renderToken(tokens, index, options)
    }
  }
  // A style attribute is not allowed by the page's policy.
  for (const rule of ['th_open', 'td_open']) {
    rules[rule] = (tokens, index, options, _env, self) => {
      const token = tokens[index]
      const [, side] = /^text-align:(\w+)$/.exec(String(token?.attrGet('style') ?? '')) ?? []
      if (token !== undefined) token.attrs = side === undefined ? null : [['class', side]]
      return self.renderToken(tokens, index, options)
    }
  }
  const plain = rules['text']
  rules['text'] = (tokens, index, options, env, self) => {
    const [token, before] = [tokens[index], tokens[index - 1]]
    if (token !== undefined && before?.info !== 'auto') token.content = withEmoji(token.content) // an address is shown as it is
    return plain?.(tokens, index, options, env, self) ?? ''
  }
  const fence = rules['fence']
  rules['fence'] = (tokens, index, options, env, self) => {
    const token = tokens[index]
    return token?.info.trim() === 'term' ? terminal(token.content) : (fence?.(tokens, index, options, env, self) ?? '')
  }
  return markdown
}

/** How many links are open once so many more are. */
function within(env: Env | undefined, more: number): number {
  if (env === undefined) return 0
  const open = (typeof env['links'] === 'number' ? env['links'] : 0) + more
  env['links'] = open
  return open
}

const ARTIFACT = 'artifact://'

/** `artifact://PATH` is the newest artifact of that path, as in reports for Buildkite. */
function resolved(href: string, env: Env | undefined): string {
  const path = pathOfArtifact(href)
  return path === null ? href : `${String(env?.['artifacts'] ?? '')}/newest/${path.map(encodeURIComponent).join('/')}`
}

/** Null: it is none, or a browser would make another address of it. */
function pathOfArtifact(href: string): readonly string[] | null {
  if (!href.startsWith(ARTIFACT)) return null
  try {
    const path = href.slice(ARTIFACT.length).split('/').map(decodeURIComponent)
    return path.some((name) => ['', '.', '..'].includes(name) || /[/\p{Cc}]/u.test(name)) ? null : path
  } catch {
    return null // a "%" that begins no character
  }
}

/** What a click may open; a name before "@" is there to mislead. */
function isSafe(href: string): boolean {
  if (pathOfArtifact(href) !== null) return true
  const url = URL.parse(href)
  if (url === null) return false
  if (url.protocol === 'mailto:') return true
  return (url.protocol === 'https:' || url.protocol === 'http:') && url.username === '' && url.password === ''
}

/** As a terminal would show it: a block that is fenced with "term". */
function terminal(text: string): string {
  const ansi = createAnsi()
  const lines = [...ansi.push(text)]
  const last = ansi.unfinished()
  return `<pre class="term ansi">${[...lines, ...(last === null ? [] : [last])].join('\n')}</pre>\n`
}
