/** Which training examples come next: all of them once an epoch, in a new order each time. */

export class Minibatches<A> {
  private readonly epochs = new Map<number, ReadonlyArray<A>>()
  /** How often each was in an epoch. A map keeps the order of the first epoch, which decides between equals. */
  private readonly uses = new Map<A, number>()

  constructor(
    private readonly items: ReadonlyArray<A>,
    private readonly size: number,
    private readonly shuffled: (epoch: number, items: ReadonlyArray<A>) => ReadonlyArray<A>
  ) {}

  /** The n-th minibatch, from 0. */
  at(n: number): ReadonlyArray<A> {
    const number = Math.floor(n / Math.ceil(this.items.length / this.size))
    const epoch = this.epochs.get(number) ?? this.next(number)
    const from = n * this.size % epoch.length
    return epoch.slice(from, from + this.size)
  }

  /** The last minibatch of an epoch is filled up with those that were used least; the last to come of several. */
  private next(number: number): ReadonlyArray<A> {
    const epoch = [...this.shuffled(number, this.items)]
    for (const item of epoch) this.uses.set(item, (this.uses.get(item) ?? 0) + 1)
    while (epoch.length % this.size !== 0) {
      let least: A | undefined
      for (const [item, count] of this.uses) if (least === undefined || count <= this.uses.get(least)!) least = item
      epoch.push(least!)
      this.uses.set(least!, this.uses.get(least!)! + 1)
    }
    this.epochs.set(number, epoch)
    return epoch
  }
}
