import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parseForges } from '../../schema/forges.ts'

const read = (value: unknown) => parseForges(JSON.stringify(value))
const TOKEN = 'ghp_0123456789'

it('nothing is no forge', () => {
  for (const text of [undefined, '', ' \n', '[]']) expect(parseForges(text)).toEqual({ ok: true, forges: [] })
})

it('well known hosts have their kind', () => {
  const forges = ['github.com', 'gitlab.com', 'codeberg.org', 'bitbucket.org'].map((host) => ({ url: `https://${host}/`, token: TOKEN }))
  const answer = read(forges)
  expect(answer.ok && answer.forges.map(({ kind }) => kind)).toEqual(['github', 'gitlab', 'gitea', 'bitbucket'])
  expect(answer.ok && answer.forges[0]?.url).toBe('https://github.com')
  expect(read([{ url: 'http://127.0.0.1:3000/git', kind: 'gitea', token: TOKEN }])).toEqual({ ok: true, forges: [{ url: 'http://127.0.0.1:3000/git', kind: 'gitea', token: TOKEN }] })
})

it.each([
  [{ url: 'https://github.com', token: TOKEN }, 'must be a list such as [{"url":"https://github.com","token":"…"}]'],
  [[TOKEN], '[0] must be an object with url and token'],
  [[{ url: 'https://git.example.com', token: TOKEN }], '[0] has no kind, and git.example.com is not known here: give "kind", one of github, gitlab, gitea, bitbucket'],
  [[{ url: 'https://github.com', token: TOKEN, tokn: 'x' }], '[0] has "tokn", which nobody knows here: url, kind and token are'],
  [[{ url: 'https://github.com' }], '[0].token must be a text'],
  [[{ url: 'https://github.com', token: `${TOKEN}\n` }], '[0].token must be the token alone: no blanks, no line end'],
  [[{ url: `https://${TOKEN}@github.com`, token: TOKEN }], '[0].url must be the address of the forge and nothing else, such as https://github.com'],
  [[{ url: 'https://x.example', kind: 'svn', token: TOKEN }], '[0].kind must be one of github, gitlab, gitea, bitbucket'],
  [[{ url: 'https://github.com', token: TOKEN }, { url: 'https://github.com/', token: 'x' }], 'names https://github.com twice'],
])('%j is refused', (value, message) => {
  expect(read(value)).toEqual({ ok: false, message: `KEDGE_FORGES ${message}.` })
})

it('what is no JSON is refused without being repeated', () => {
  expect(parseForges(`{"token": ${TOKEN}}`)).toEqual({ ok: false, message: 'KEDGE_FORGES is not JSON; it is a list such as [{"url":"https://github.com","token":"…"}].' })
})

it('no refusal repeats a token', () => {
  fc.assert(
    fc.property(fc.constantFrom('token', 'url', 'kind'), fc.jsonValue(), fc.boolean(), (name, value, isKept) => {
      const answer = read([{ url: 'https://github.com', kind: 'github', ...(isKept ? { token: TOKEN } : { token: `${TOKEN} ` }), [name]: name === 'token' ? { [TOKEN]: value } : value }])
      expect(answer.ok ? '' : answer.message).not.toContain(name === 'token' ? `${TOKEN} ` : TOKEN)
    }),
  )
})
