/** A sample that no statement can be made of. The message names what is wrong with it. */
export class SampleInvalid extends RangeError {
  override readonly name = "SampleInvalid"
}

/** Refuses an empty sample and everything in it that is no finite number: NaN would pass through every comparison unseen. */
export const checkSample = (sample: ReadonlyArray<number>, name = "sample"): void => {
  if (sample.length === 0) throw new SampleInvalid(`${name}: expected at least one number, found none`)
  for (const [index, value] of sample.entries()) {
    if (!Number.isFinite(value)) {
      throw new SampleInvalid(`${name}[${index}]: expected a finite number, found ${value}`)
    }
  }
}

/** Refuses all but what lies between 0 and 1, both excluded. */
export const checkProbability = (value: number, name: string): void => {
  if (!(value > 0 && value < 1)) throw new SampleInvalid(`${name}: expected a number between 0 and 1, found ${value}`)
}

/** Refuses all but whole numbers from `min` on. */
export const checkCount = (value: number, name: string, min = 0): void => {
  if (!Number.isSafeInteger(value) || value < min) {
    throw new SampleInvalid(`${name}: expected a whole number of ${min} or more, found ${value}`)
  }
}
