/** Hides what looks like a secret of the job's environment in what a job is about to show everybody. */
import { matchesWildcard } from '../../schema/pipeline/wildcard.ts'
import type { Surroundings } from './output.ts'

/** As Buildkite's agent hides them unless it is told otherwise. */
const REDACTED = '*_PASSWORD,*_SECRET,*_TOKEN,*_PRIVATE_KEY,*_ACCESS_KEY,*_SECRET_KEY,*_CONNECTION_STRING'
const HIDDEN = '[REDACTED]'
/** Shorter values are found everywhere. */
const SHORTEST_SECRET = 6

interface Redacting {
  /** Names the text in the note that says what was hidden. */
  readonly what: string
  /** Of `--redacted-vars`, by commas. */
  readonly patterns: string | undefined
  readonly surroundings: Pick<Surroundings, 'environment' | 'note'>
}

/** The text as it may be shown; what was hidden is said. */
export function redacted(text: string, { what, patterns, surroundings: { environment, note } }: Redacting): string {
  const { shown, hidden } = withoutSecrets(text, patterns ?? environment['BUILDKITE_REDACTED_VARS'] ?? REDACTED, environment)
  if (hidden.length > 0) note(`${what} holds that of ${hidden.join(', ')}, which everybody who sees the build would read: it was replaced by ${HIDDEN}. If it is meant, give --redacted-vars ''.`)
  return shown
}

/** What may be shown of a text, and the variables whose own value was hidden. */
function withoutSecrets(text: string, patterns: string, environment: Surroundings['environment']): { readonly shown: string; readonly hidden: readonly string[] } {
  const wanted = patterns.split(',').map((one) => one.trim()).filter((one) => one !== '')
  const secrets = Object.entries(environment).filter((entry): entry is [string, string] => (entry[1] ?? '').length >= SHORTEST_SECRET && wanted.some((one) => matchesWildcard(entry[0], one)))
  const found = secrets.filter(([, secret]) => text.includes(secret)).sort(([, a], [, b]) => b.length - a.length) // a longer one may hold a shorter
  return { shown: found.reduce((shown, [, secret]) => shown.replaceAll(secret, () => HIDDEN), text), hidden: found.map(([name]) => name) }
}
