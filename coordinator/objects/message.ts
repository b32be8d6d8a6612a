/** What a delivery says, as a request: a status for the forge of the project, or JSON for a webhook. */
import type { ForgesAnswer } from '../../schema/forges.ts'
import type { Status } from '../core/notify.ts'
import { DESCRIPTION_CHARACTERS, type ForgeApi } from '../forge/forge-api.ts'
import { FORGES, forgeOf } from '../forge/forges.ts'
import { nameOf } from '../store/read-steps.ts'
import type { Delivery } from './deliveries.ts'

export interface Message {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
  /** How people know the other side. */
  readonly whom: string
  /** What may not be repeated to anybody. */
  readonly secret: string | null
  /** Of a forge. */
  readonly api: ForgeApi | null
}

/** `why` continues a sentence about it. */
export type MessageAnswer = { readonly ok: true; readonly message: Message } | { readonly ok: false; readonly why: string }

export function messageOf(delivery: Delivery, forges: ForgesAnswer): MessageAnswer {
  const { to } = delivery.notice
  return to.kind === 'webhook' ? { ok: true, message: webhookMessage(delivery, to.url) } : statusMessage(delivery, to.context, forges)
}

function statusMessage({ build, project, step, word, url }: Delivery, context: string, forges: ForgesAnswer): MessageAnswer {
  if (!forges.ok) return { ok: false, why: forges.message.replace(/\.$/, '') }
  const found = forgeOf(project.repository, forges.forges)
  if (!found.ok) return found
  const { forge, path } = found
  const api = FORGES[forge.kind]
  const state = word as Status // written by `wordFor`
  const about = step === null ? `Build #${build.number}` : nameOf(step)
  const request = api.request(forge, { path, sha: build.commit ?? '', branch: build.branch, state, context, description: described(about, state), url })
  return { ok: true, message: { ...request, whom: new URL(forge.url).host, secret: forge.token, api } }
}

const SAYS: Readonly<Record<Status, string>> = { pending: 'is running', success: 'passed', failure: 'failed', error: 'was cancelled, or could not run' }

function described(about: string, state: Status): string {
  const says = ` ${SAYS[state]}`
  const most = DESCRIPTION_CHARACTERS - says.length
  return `${about.length <= most ? about : `${about.slice(0, most - 1).replace(/[\ud800-\udbff]$/, '')}…`}${says}`
}

/** Buildkite's names for what happened: a build that waits for a person has finished for now, and says that it is blocked. */
function eventOf(kind: 'build' | 'step', word: string): string {
  return `${kind}.${word === 'running' || word === 'failing' ? word : 'finished'}`
}

function webhookMessage(delivery: Delivery, url: string): Message {
  const { build, project, step, notice, at, word } = delivery
  const event = eventOf(step === null ? 'build' : 'step', word)
  const time = (instant: number | null) => (instant === null ? null : new Date(instant).toISOString())
  const address = addressed(url)
  const body = {
    event,
    build: {
      project: project.slug,
      number: build.number,
      state: step === null ? word : (build.state ?? 'running'),
      blocked: step === null && word === 'blocked',
      commit: build.commit,
      branch: build.branch,
      message: build.message,
      created_at: time(build.createdAt),
      started_at: time(build.startedAt),
      finished_at: time(build.finishedAt),
      url: delivery.url,
    },
    ...(step === null ? {} : { step: { number: step.s, kind: step.kind, key: step.key, label: step.label, state: word } }),
  }
  const id = `D${build.project}-${build.number}-${at}-${notice.nth}`
  return { ...address, headers: { ...address.headers, 'x-kedge-event': event, 'x-kedge-delivery': id }, body, secret: null, api: null }
}

/** A user and a password in an address are sent as such: no request may have them in its URL. */
function addressed(text: string): Pick<Message, 'url' | 'headers' | 'whom'> {
  const url = new URL(text)
  const { username, password, host } = url
  if (username === '' && password === '') return { url: url.href, headers: {}, whom: host }
  url.username = url.password = ''
  return { url: url.href, headers: { authorization: `Basic ${btoa(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`)}` }, whom: host }
}
