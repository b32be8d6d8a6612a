/** Emoji codes in what people wrote. */
import { describe, expect, it } from 'vitest'
import { buildWithEmoji, withEmoji } from '../../../coordinator/pages/emoji.ts'
import { renderMarkdown } from '../../../coordinator/pages/markdown.ts'
import type { TextField } from '../../../schema/pipeline/steps.ts'
import { buildView, jobView, stepView } from '../../support/views.ts'

describe('an emoji code', () => {
  it.each([
    [':rocket: Deploy', '🚀 Deploy'],
    ['Deploy (:rocket:)', 'Deploy (🚀)'],
    [':+1::tada:', '👍🎉'],
    [':rocket::nothing::tada:', '🚀:nothing:🎉'],
    ['"Lint :mag:" failed', '"Lint 🔍" failed'],
  ])('in %j is its character', (text, shown) => {
    expect(withEmoji(text)).toBe(shown)
  })

  it.each([
    'at 10:100:20', 'std::key::value', '::key::', ':docker: Push', ':constructor: :__proto__:', 'a:key:b', ':rocket', 'rocket:', ': rocket :', ':ROCKET:', '',
  ])('is not in %j', (text) => {
    expect(withEmoji(text)).toBe(text)
  })

  it('is looked for in time that grows with the text', () => {
    for (const text of [':'.repeat(500_000), ':a'.repeat(250_000), ':aa:'.repeat(125_000), `:${'a'.repeat(500_000)}`]) expect(withEmoji(text)).toBe(text)
  })
})

it('of a build, what people read has its characters, and what is sent or run does not', () => {
  const field: TextField = { kind: 'text', key: ':key:', label: ':key: Version', hint: ':bulb: such as 1', required: true, default: ':tada:', format: null }
  const build = buildWithEmoji(
    buildView({
      steps: [stepView({ key: ':key:', label: ':mag: Lint', broken: '":mag: Lint" failed', prompt: 'Sure? :bulb:', submit: ':rocket: Go', fields: [field] })],
      jobs: [jobView({ label: ':mag: Lint', command: 'echo :mag:', waiting: { code: 'dependency', reason: 'waits for ":mag: Lint"' } })],
    }),
  )
  expect(build.steps[0]).toMatchObject({ key: ':key:', label: '🔍 Lint', broken: '"🔍 Lint" failed', prompt: 'Sure? 💡', submit: '🚀 Go', fields: [{ key: ':key:', label: '🔑 Version', hint: '💡 such as 1', default: ':tada:' }] })
  expect(build.jobs[0]).toMatchObject({ label: '🔍 Lint', command: 'echo :mag:', waiting: { reason: 'waits for "🔍 Lint"' } })
})

it('in an annotation it is not in code, nor in an address', () => {
  expect(renderMarkdown('**:white_check_mark:** passed, `:tada:` :docker:', '')).toBe('<p><strong>✅</strong> passed, <code>:tada:</code> :docker:</p>\n')
  expect(renderMarkdown('[:rocket:](https://a.example/:rocket:) https://a.example/:rocket:', '')).toMatch(/^<p><a href="https:\/\/a\.example\/:rocket:"[^>]*>🚀<\/a> <a href="https:\/\/a\.example\/:rocket:"[^>]*>https:\/\/a\.example\/:rocket:<\/a><\/p>\n$/)
  expect(renderMarkdown('```\n:tada:\n```', '')).toContain(':tada:')
})
