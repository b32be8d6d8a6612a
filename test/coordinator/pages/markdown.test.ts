/** What jobs write onto pages is hostile: whatever it holds, it is text, safe links and structure. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { beginning } from '../../../coordinator/pages/annotations.tsx'
import { renderMarkdown as render } from '../../../coordinator/pages/markdown.ts'
import { runs } from '../../fuzz/seed.ts'

const ARTIFACTS = '/api/v1/projects/app/builds/82/artifacts'
const renderMarkdown = (text: string) => render(text, ARTIFACTS)

/** Every tag with its attributes, as an HTML parser would take them. */
const tagsOf = (html: string) => [...html.matchAll(/<(\/?)([a-z][a-z0-9]*)((?:\s[^<>]*)?)>/gi)].map(([, , name = '', attributes = '']) => ({ name, attributes }))
const KNOWN = new Set(['p', 'a', 'strong', 'em', 's', 'code', 'pre', 'span', 'ul', 'ol', 'li', 'blockquote', 'hr', 'br', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'h3', 'h4', 'h5', 'h6', 'details', 'summary'])

function isHarmless(html: string): boolean {
  const tags = tagsOf(html)
  if (html.replace(/<\/?[a-z][a-z0-9]*(?:\s+[a-z-]+="[^"<>]*")*\s*\/?>/gi, '').includes('<')) return false // something else than a plain tag
  return tags.every(({ name, attributes }) => {
    const given = [...attributes.matchAll(/([a-z-]+)="([^"]*)"/gi)].map(([, key = '', value = '']) => [key, value] as const)
    return KNOWN.has(name) && given.every(([key, value]) => (key === 'href' ? /^(?:https?:\/\/|mailto:)/i.test(value) || value.startsWith(`${ARTIFACTS}/newest/`) : ['rel', 'title', 'class', 'start', 'open'].includes(key)))
  })
}

describe('markdown', () => {
  it('is shown with what GitHub has: emphasis, lists, tables, code and bare links', () => {
    const html = renderMarkdown('# Head\n\n**b** _i_ ~~s~~ `c`\n\n- one\n\n| a | b |\n|--:|:-:|\n| 1 | 2 |\n\n```js\nlet x = "<b>"\n```\n\nhttps://example.com/x')
    for (const part of ['<h3>Head</h3>', '<strong>b</strong>', '<em>i</em>', '<s>s</s>', '<code>c</code>', '<li>one</li>', '<th class="right">a</th>', '<td class="center">2</td>', '<code class="language-js">let x = &quot;&lt;b&gt;&quot;', '<a href="https://example.com/x" rel="noopener noreferrer nofollow">']) expect(html).toContain(part)
    expect(isHarmless(html)).toBe(true)
  })

  it.each<[string, string]>([
    ['a script', '<script>alert(1)</script>'],
    ['a script within a block', '<div>\n<script>alert(1)</script>\n</div>'],
    ['an event attribute', '<img src=x onerror=alert(1)>'],
    ['a frame', '<iframe src="https://evil.example"></iframe>'],
    ['a style', '<style>body{display:none}</style>'],
    ['a link that runs', '[x](javascript:alert(1))'],
    ['one that is spelled otherwise', '[x](JaVaScRiPt&#58;alert(1)) [y](&#x6a;avascript:alert(1)) [z]( java\nscript:alert(1))'],
    ['one by reference', '[x][r]\n\n[r]: javascript:alert(1)'],
    ['one as an autolink', '<javascript:alert(1)> <vbscript:x> <data:text/html,x>'],
    ['a picture that runs', '![x](javascript:alert(1)) ![y](data:image/svg+xml;base64,PHN2Zz4=)'],
    ['a way out of an attribute', '[x](https://a.example/"onmouseover="alert(1)) [y](https://a.example "t\\" onclick=alert(1)")'],
    ['a way out of a language', '```"><script>alert(1)</script>\nx\n```'],
    ['a terminal block', '```term\n\u001b[31m<script>alert(1)</script>\u001b]8;;javascript:alert(1)\u001b\\x\n```'],
    ['a name before a host', '[bank](https://bank.example@evil.example/)'],
    ['a file', '[x](file:///etc/passwd)'],
  ])('with %s is harmless', (_what, text) => {
    const html = renderMarkdown(text)
    expect(isHarmless(html)).toBe(true)
    expect(html).not.toMatch(/<(?:script|img|iframe|style|div)/i)
    expect(html).not.toMatch(/href="[^"]*(?:script|data|file|@)/i)
  })

  it('folds what stands between details, and knows code and breaks, as reports for Buildkite have them', () => {
    expect(renderMarkdown('Failed:\n<details>\n<summary><code>a &lt; b</code> in **x**</summary>\n\n- one<br/>two\n\n<details open><summary>inner</summary>\ntext\n</details>\n</details>\nafter')).toBe(
      '<p>Failed:</p>\n<details>\n<summary><code>a &lt; b</code> in <strong>x</strong></summary>\n<ul>\n<li>one<br>\ntwo</li>\n</ul>\n<details open="">\n<summary>inner</summary>\n<p>text</p>\n</details>\n</details>\n<p>after</p>\n',
    )
  })

  it.each(['<details>\nnever closed', 'text\n</details>', '<details class="x">\na\n</details>', '- <details>\n  a\n\n</details>', '> <details>\n> a\n</details>', '<details>\n```\n</details>\n```\n<script>', '<details><details>\n</details>', '<code onclick="x">a</code><br onclick=x><code><b>a</b></code>'])('leaves no tag open, and takes none with attributes: %j', (text) => {
    const html = renderMarkdown(text)
    expect(isHarmless(html)).toBe(true)
    for (const tag of ['details', 'summary', 'code', 'p', 'ul', 'li', 'blockquote', 'pre']) expect(html.split(`<${tag}>`).length + html.split(`<${tag} `).length - 1).toBe(html.split(`</${tag}>`).length)
    expect(html).not.toMatch(/<[^>]*(?:onclick|class="x)/)
  })

  it('leads to artifacts of the build by their paths, and knows plain links of HTML', () => {
    const link = (path: string, words: string) => `<p><a href="${ARTIFACTS}/newest/${path}" rel="noopener noreferrer nofollow">${words}</a></p>\n`
    expect(renderMarkdown('[log](artifact://Logs/a%20b.txt)')).toBe(link('Logs/a%20b.txt', 'log'))
    expect(renderMarkdown('![shot](artifact://shots/1.png)')).toBe(link('shots/1.png', 'shot'))
    expect(renderMarkdown('<a href="artifact://a?b#c.html">it &amp; more</a>')).toBe(link('a%3Fb%23c.html', 'it &amp; more'))
    expect(renderMarkdown("<a href='https://ci.example/x'>there</a>")).toBe('<p><a href="https://ci.example/x" rel="noopener noreferrer nofollow">there</a></p>\n')
  })

  it.each(['artifact://../../sign-out', 'artifact://a/%2e%2e/b', 'artifact:///etc', 'artifact://a%2f..%2fb', 'artifact://', '/sign-out', '#job', 'javascript:alert(1)'])('leaves %j as text: it is no artifact, and leads nowhere that a click may go', (address) => {
    for (const text of [`[x](${address})`, `<a href="${address}">x</a>`, `![x](${address})`]) expect(renderMarkdown(text)).not.toContain('<a')
  })

  it('with pictures loads none: each is a link, or its words within a link', () => {
    expect(renderMarkdown('![chart](https://img.example/a.png)')).toBe('<p><a href="https://img.example/a.png" rel="noopener noreferrer nofollow">chart</a></p>\n')
    expect(renderMarkdown('[![badge](https://img.example/b.svg)](https://ci.example)')).toBe('<p><a href="https://ci.example" rel="noopener noreferrer nofollow">badge</a></p>\n')
  })

  it('shows a block that is fenced with "term" as a terminal does', () => {
    expect(renderMarkdown('```term\n\u001b[32mgreen\u001b[0m & <plain>\nlast\n```')).toBe('<pre class="term ansi"><span class="f2">green</span> &amp; &lt;plain&gt;\nlast</pre>\n')
  })

  it('of any kind is harmless', () => {
    const parts = fc.constantFrom('<', '>', '"', "'", '&', '[', ']', '(', ')', '!', '`', '```', '```term\n', '\n', '\n\n', '|', '|-|\n', '# ', '- ', '> ', 'javascript:', 'https://a.b/', 'mailto:a@b', 'data:image/png;base64,', '<script>', 'onerror=', '\u001b[31m', '\u001b]8;;', '\n<details>\n', '\n</details>\n', '<summary>x</summary>', '<a href="', 'artifact://a', '../', '">', '</a>', '<code>', '</code>', '<br>', '&#58;', '\\', '*', '_', '~~', '[r]: ', '\0', '\ud800', 'x')
    fc.assert(fc.property(fc.array(parts, { maxLength: 40 }), (all) => isHarmless(renderMarkdown(all.join('')))), runs(2000))
  })
})

describe('a body that is longer than what is shown', () => {
  it('is cut at a line, and within one only where it has to', () => {
    expect(beginning('one\ntwo\nthree', 9)).toBe('one\ntwo\n')
    expect(beginning('one', 3)).toBe('one')
    expect(beginning('a long line', 6)).toBe('a long')
    expect(beginning('ab😀', 3)).toBe('ab\ufffd')
  })
})
