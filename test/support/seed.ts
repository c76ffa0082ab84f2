/**
 * Where chance in tests begins: the same cases every time, so that a commit does not fail for what it did not change.
 * `TAU_TEST_SEED=7` begins elsewhere, `TAU_TEST_SEED=random` anywhere.
 */
export const testSeed = ((): number => {
  const given = process.env["TAU_TEST_SEED"] ?? "20260101"
  return given === "random" ? Date.now() % 2 ** 31 : Number(given)
})()
