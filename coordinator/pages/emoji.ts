/**
 * Emoji codes as GitHub knows them (`:rocket:`) in what people wrote: labels, messages, annotations. What is no such code
 * stays as it is, the pictures that Buildkite has of its own among it (`:docker:`). The log is shown as it was printed.
 */
import characters from 'markdown-it-emoji/lib/data/full.mjs'
import type { BuildView, JobView, StepView } from '../../schema/api.ts'

/** Codes that stand by themselves, one after another: neither a time nor a name in a program is one. */
const CODES = /(?<![\w:])(?::[a-z0-9_+-]{1,50}:)+(?![\w:])/g

export function withEmoji(text: string): string {
  if (!text.includes(':')) return text
  return text.replace(CODES, (codes) => codes.replace(/:([^:]+):/g, (code, name: string) => (Object.hasOwn(characters, name) ? (characters[name] ?? code) : code)))
}

/** The build as its page shows it: with emoji in all that people wrote to be read by people. */
export function buildWithEmoji(build: BuildView): BuildView {
  return { ...build, steps: build.steps.map(stepWithEmoji), jobs: build.jobs.map(jobWithEmoji) }
}

function stepWithEmoji(step: StepView): StepView {
  const { label, prompt, submit, broken, skipped, fields } = step
  return { ...step, label: within(label), prompt: within(prompt), submit: within(submit), broken: within(broken), skipped: within(skipped), fields: fields.map((field) => ({ ...field, label: within(field.label), hint: within(field.hint) })) }
}

function jobWithEmoji(job: JobView): JobView {
  const { label, waiting } = job
  return { ...job, label: within(label), ...(waiting === undefined ? {} : { waiting: { ...waiting, reason: withEmoji(waiting.reason) } }) }
}

function within(text: string | null): string | null {
  return text === null ? null : withEmoji(text)
}
