/** Whom to tell how it goes. */
import { isMap } from '../json.ts'
import { PIPELINE_LIMITS } from '../limits.ts'
import type { Notification } from '../steps.ts'
import { condition, stepCondition } from './common.ts'
import { Attributes, shown, type Reader } from './reading.ts'
import { flag, listed, listOf, prose, someText } from './values.ts'

const ADVICE = 'It tells commit statuses and webhooks: take this away, and let a webhook or a command tell others'
const UNSUPPORTED: Readonly<Record<string, string>> = {
  slack: `Kedge does not speak to Slack. ${ADVICE}.`,
  email: `Kedge sends no mail. ${ADVICE}.`,
  basecamp_campfire: `Kedge does not speak to Basecamp. ${ADVICE}.`,
  pagerduty_change_event: `Kedge does not speak to PagerDuty. ${ADVICE}.`,
  github_check: 'Kedge makes no GitHub checks; write "github_commit_status" instead.',
}

/** For a build or a group of its steps; a step alone has no webhook. */
export const buildNotifications: Reader<readonly Notification[]> = (value, place) => listOf(notification(true), 'notifications')(value, place)
export const stepNotifications: Reader<readonly Notification[]> = (value, place) => listOf(notification(false), 'notifications')(value, place)

function notification(mayHook: boolean): Reader<Notification> {
  const services = mayHook ? ['github_commit_status', 'webhook'] : ['github_commit_status']
  return (value, place) => {
    if (!isMap(value)) {
      if (value === 'github_commit_status') return { kind: 'commit_status', context: null, blockedAsPending: false, if: null }
      const reason = typeof value === 'string' && Object.hasOwn(UNSUPPORTED, value) ? UNSUPPORTED[value] : undefined
      return reason === undefined ? place.wrong(`a notification is a mapping with ${listed(services)}, not ${shown(value)}.`) : place.unsupported(reason)
    }
    const attributes = new Attributes(value, place)
    const when = attributes.read('if', mayHook ? condition : stepCondition, null)
    const hasStatus = attributes.raw('github_commit_status') !== undefined
    const status = hasStatus ? attributes.read('github_commit_status', commitStatus(mayHook), { context: null, blockedAsPending: false }) : null
    const url = mayHook ? attributes.read('webhook', webhook, null) : null
    attributes.refuseRest('a notification', { unsupported: UNSUPPORTED, elsewhere: mayHook ? {} : { webhook: 'webhooks are told of builds; move it to the "notify" at the top of the file' } })
    if (status !== null && url !== null) return place.wrong('these are two notifications in one item of the list; put "- " before each.')
    if (status !== null) return { kind: 'commit_status', ...status, if: when }
    if (url !== null) return { kind: 'webhook', url, if: when }
    const names = Object.keys(value)
    return names.every((name) => name === 'if') ? place.wrong(`this does not say whom to tell: give it ${listed(services)}.`) : undefined
  }
}

function commitStatus(ofBuild: boolean): Reader<{ readonly context: string | null; readonly blockedAsPending: boolean }> {
  return (value, place) => {
    const attributes = Attributes.of(value, place, '"github_commit_status"')
    if (attributes === undefined) return undefined
    const found = {
      context: attributes.read('context', prose(PIPELINE_LIMITS.labelCharacters), null),
      blockedAsPending: ofBuild && attributes.read('blocked_builds_as_pending', flag, false),
    }
    attributes.refuseRest('"github_commit_status"', { elsewhere: { blocked_builds_as_pending: 'only the status of a whole build has it' } })
    return found
  }
}

const webhook: Reader<string> = (value, place) => {
  const url = someText(value, place)
  if (url === undefined) return undefined
  return /^https?:\/\/[^\s/]+\S*$/i.test(url) && url.length <= 2048 ? url : place.wrong(`${shown(value)} is not a URL that begins with https:// or http://.`)
}
