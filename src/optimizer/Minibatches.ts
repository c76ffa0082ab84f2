/** Which training examples come next: all of them once an epoch, in a new order each time. */

export class Minibatches<A> {
  private readonly epochs: Array<ReadonlyArray<A>> = []
  /** How often each was in an epoch. A map keeps the order of the first epoch, which decides between equals. */
  private readonly uses = new Map<A, number>()

  constructor(
    private readonly items: ReadonlyArray<A>,
    private readonly size: number,
    private readonly shuffled: (epoch: number, items: ReadonlyArray<A>) => ReadonlyArray<A>
  ) {}

  /** The n-th minibatch, from 0. */
  at(n: number): ReadonlyArray<A> {
    const perEpoch = Math.ceil(this.items.length / this.size)
    while (this.epochs.length <= Math.floor(n / perEpoch)) this.epochs.push(this.next())
    const from = n % perEpoch * this.size
    return this.epochs[Math.floor(n / perEpoch)]!.slice(from, from + this.size)
  }

  /** The last minibatch of an epoch is filled up with those that were used least; the last to come of several. */
  private next(): ReadonlyArray<A> {
    const epoch = [...this.shuffled(this.epochs.length, this.items)]
    for (const item of epoch) this.uses.set(item, (this.uses.get(item) ?? 0) + 1)
    while (epoch.length % this.size !== 0) {
      let least: A | undefined
      for (const [item, count] of this.uses) if (least === undefined || count <= this.uses.get(least)!) least = item
      epoch.push(least!)
      this.uses.set(least!, this.uses.get(least!)! + 1)
    }
    return epoch
  }
}
