/**
 * What waits for a person: a form for each block that is asked about; and, once it was let pass, who did so. It works without a script; what the browser checks
 * (a field that must be filled in) the Scheduler checks again, and the rest only there.
 */
import type { BuildView, FieldAnswer, Problem, StepView } from '../../schema/api.ts'
import type { Field, SelectField, TextField } from '../../schema/pipeline/steps.ts'
import { buildPath } from './builds.tsx'
import { Ago } from './state.tsx'

/** What was answered and refused, so that nobody types it twice. */
export interface AskForm {
  /** As the form's address named it. */
  readonly step: string
  readonly given: readonly FieldAnswer[]
  readonly problem: Pick<Problem, 'detail' | 'errors'>
}

/** The answers of a sent form. `asked` names its fields, because a list of which nothing is checked sends nothing. */
export function answersOf(form: URLSearchParams): readonly FieldAnswer[] {
  const given = Map.groupBy(form, ([name]) => name)
  return (given.get('asked') ?? []).map(([, key]): FieldAnswer => {
    const answers = (given.get(`answer.${key}`) ?? []).map(([, answer]) => answer)
    return [key, answers.length === 1 ? (answers[0] ?? '') : answers]
  })
}

export function Asks({ build, form, mayAnswer }: { readonly build: BuildView; readonly form: AskForm | null; readonly mayAnswer: boolean }) {
  const asked = build.steps.filter(({ state }) => state === 'blocked')
  return <>{asked.map((step) => <Ask build={build} step={step} form={form?.step === String(step.step) ? form : null} mayAnswer={mayAnswer} />)}</>
}

/** In the row of a block that was let pass. */
export function LetPass({ step: { unblocked }, now }: { readonly step: StepView; readonly now: number }) {
  return <>{unblocked !== null && <span>let pass by {unblocked.by}, <Ago at={unblocked.at} now={now} /></span>}</>
}

/** What was answered, in the words of the form where it still has them. */
export function Answers({ step: { unblocked, fields } }: { readonly step: StepView }) {
  const answers = Object.entries(unblocked?.answers ?? {})
  if (answers.length === 0) return <></>
  const byKey = new Map(fields.map((field) => [field.key, field]))
  return (
    <dl class="answers">
      {answers.map(([key, answer]) => (
        <div><dt>{byKey.get(key)?.label ?? key}:</dt> <dd>{inWordsOf(byKey.get(key), answer)}</dd></div>
      ))}
    </dl>
  )
}

/** What was selected is kept one a line. */
function inWordsOf(field: Field | undefined, answer: string): string {
  if (answer === '') return 'nothing'
  if (field?.kind !== 'select') return answer
  const labels = new Map(field.options.map(({ value, label }) => [value, label]))
  return answer.split('\n').map((value) => labels.get(value) ?? value).join(', ')
}

function Ask({ build, step, form, mayAnswer }: { readonly build: BuildView; readonly step: StepView; readonly form: AskForm | null; readonly mayAnswer: boolean }) {
  const title = step.label ?? step.key ?? `Step ${step.step}`
  const given = form === null ? null : new Map(form.given)
  const names = new Set(step.fields.map(({ key }) => `fields.${key}`))
  const unseen = (form?.problem.errors ?? []).filter(({ path }) => !names.has(path))
  return (
    <section class="ask" id={`ask-${step.step}`} aria-labelledby={`ask-${step.step}-title`}>
      <h2 id={`ask-${step.step}-title`}>{title}</h2>
      {step.prompt !== null && <p class="prompt">{step.prompt}</p>}
      {!mayAnswer && <p class="hint">Waits until somebody lets it pass; your token may only read.</p>}
      {mayAnswer && (
        <form method="post" action={`${buildPath(build)}/steps/${step.step}/unblock`}>
          {form !== null && <p class="problem" role="alert">{['It was not let pass; see what is marked.', ...unseen.map(({ path, message }) => `"${path}" ${message}.`)].join(' ')}</p>}
          {step.fields.map((field, index) => (
            <Question field={field} id={`ask-${step.step}-${index}`} given={given?.get(field.key)} error={form?.problem.errors?.find(({ path }) => path === `fields.${field.key}`)?.message} />
          ))}
          <button class="primary">{step.submit ?? 'Continue'}</button>
        </form>
      )}
    </section>
  )
}

interface QuestionProps<F extends Field> {
  readonly field: F
  readonly id: string
  readonly given: FieldAnswer[1] | undefined
  readonly error: string | undefined
}

function Question({ field, ...rest }: QuestionProps<Field>) {
  return (
    <>
      <input type="hidden" name="asked" value={field.key} />
      {field.kind === 'text' ? <Text field={field} {...rest} /> : <Select field={field} {...rest} />}
    </>
  )
}

function Text({ field, id, given, error }: QuestionProps<TextField>) {
  const value = typeof given === 'string' ? given : (field.default ?? '')
  const attributes = { id, name: `answer.${field.key}`, autocapitalize: 'off' as const, spellcheck: false, ...(field.required ? { required: true } : {}), ...described(field, id, error) }
  return (
    <div class="question">
      <label for={id}><Name of={field} /></label>
      {value.includes('\n') ? <textarea rows={4} {...attributes}>{value}</textarea> : <input value={value} autocomplete="off" {...attributes} />}
      <Notes of={field} id={id} error={error} />
    </div>
  )
}

/** Options that can be seen at once. */
const FEW = 6

function Select({ field, id, given, error }: QuestionProps<SelectField>) {
  const chosen = new Set(typeof given === 'string' ? [given] : (given ?? field.default))
  if (!field.multiple && field.options.length > FEW) {
    return (
      <div class="question">
        <label for={id}><Name of={field} /></label>
        <select id={id} name={`answer.${field.key}`} {...(field.required ? { required: true } : {})} {...described(field, id, error)}>
          <option value="">{field.required ? 'Choose one' : 'None'}</option>
          {field.options.map(({ label, value, hint }) => <option value={value} {...(chosen.has(value) ? { selected: true } : {})}>{hint === null ? label : `${label}: ${hint}`}</option>)}
        </select>
        <Notes of={field} id={id} error={error} />
      </div>
    )
  }
  const type = field.multiple ? ('checkbox' as const) : ('radio' as const)
  const options = field.multiple || field.required ? field.options : [...field.options, { label: 'None', value: '', hint: null, required: null }]
  return (
    <fieldset class="question" {...described(field, id, error)}>
      <legend><Name of={field} /></legend>
      {options.map(({ label, value, hint, required }) => (
        <label class="option">
          <input type={type} name={`answer.${field.key}`} value={value} {...(chosen.has(value) ? { checked: true } : {})} {...((field.multiple ? required === true : field.required) ? { required: true } : {})} />
          <span>{label}{hint !== null && <span class="hint"> {hint}</span>}</span>
        </label>
      ))}
      <Notes of={field} id={id} error={error} />
    </fieldset>
  )
}

function Name({ of }: { readonly of: Field }) {
  return <>{of.label ?? of.key}{!of.required && <span class="hint"> (optional)</span>}</>
}

function Notes({ of, id, error }: { readonly of: Field; readonly id: string; readonly error: string | undefined }) {
  return (
    <>
      {of.hint !== null && <p class="hint" id={`${id}-hint`}>{of.hint}</p>}
      {error !== undefined && <p class="error" id={`${id}-error`}>It {error}.</p>}
    </>
  )
}

function described(field: Field, id: string, error: string | undefined): { readonly 'aria-describedby'?: string; readonly 'aria-invalid'?: true } {
  const ids = [...(field.hint === null ? [] : [`${id}-hint`]), ...(error === undefined ? [] : [`${id}-error`])]
  return { ...(ids.length > 0 ? { 'aria-describedby': ids.join(' ') } : {}), ...(error === undefined || field.kind === 'select' ? {} : { 'aria-invalid': true }) }
}
