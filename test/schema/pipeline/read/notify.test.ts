import { expect, it } from 'vitest'
import type { Json } from '../../../../schema/pipeline/json.ts'
import { commandOf, mistakesOf, mistakesOfCommand, pipelineOf, stepOf } from '../../../support/pipeline-reading.ts'

const plain = { kind: 'commit_status', context: null, blockedAsPending: false, if: null }

it('commit statuses and webhooks are told', () => {
  const notify = ['github_commit_status', { github_commit_status: null }, { github_commit_status: { context: 'ci', blocked_builds_as_pending: true }, if: 'build.state == "failed"' }, { webhook: 'https://example.com/a?b' }]
  const meant = [plain, plain, { kind: 'commit_status', context: 'ci', blockedAsPending: true, if: 'build.state == "failed"' }, { kind: 'webhook', url: 'https://example.com/a?b', if: null }]
  expect(pipelineOf({ notify, steps: [] }).notify).toEqual(meant)
  expect(stepOf('group', { group: 'g', steps: ['wait'], notify }).notify).toEqual(meant)
  expect(commandOf({ notify: [{ github_commit_status: { context: 'ci' } }] }).notify).toEqual([{ ...plain, context: 'ci' }])
})

it.each(['slack', 'email', 'basecamp_campfire', 'pagerduty_change_event', 'github_check'])('%s is refused by name', (service) => {
  expect(mistakesOfCommand({ notify: [{ [service]: 'x', if: 'true' }] })).toEqual([expect.stringMatching(new RegExp(`^notify\\.0\\.${service}: \\(unsupported\\) Kedge `))])
})

it.each<[Json, string]>([
  ['github_check', 'notify.0: (unsupported) Kedge makes no GitHub checks; write "github_commit_status" instead.'],
  ['mail', 'notify.0: a notification is a mapping with "github_commit_status", not "mail".'],
  [{ webhook: 'https://example.com' }, 'notify.0.webhook: a notification has no "webhook": webhooks are told of builds; move it to the "notify" at the top of the file.'],
  [{ slck: '#x' }, 'notify.0.slck: a notification has no "slck"; it has if, github_commit_status.'],
  [{ if: 'true' }, 'notify.0: this does not say whom to tell: give it "github_commit_status".'],
  [{ github_commit_status: 'ci' }, 'notify.0.github_commit_status: "github_commit_status" is a mapping of names to values, not "ci".'],
  [{ github_commit_status: { contxt: 'ci' } }, 'notify.0.github_commit_status.contxt: "github_commit_status" has no "contxt"; did you mean "context"?'],
])('a step that is to tell %j is refused', (one, message) => {
  expect(mistakesOfCommand({ notify: [one] })).toEqual([message])
})

it('a webhook is a URL', () => {
  expect(mistakesOf({ notify: [{ webhook: 'example.com' }], steps: [] })).toEqual(['notify.0.webhook: "example.com" is not a URL that begins with https:// or http://.'])
  expect(mistakesOf({ notify: { webhook: 'https://example.com' }, steps: [] })).toEqual(['notify: this is a list of notifications, not a mapping.'])
  expect(mistakesOf({ notify: [{ webhook: 'https://example.com', github_commit_status: {} }], steps: [] })).toEqual(['notify.0: these are two notifications in one item of the list; put "- " before each.'])
})
