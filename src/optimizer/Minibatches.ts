/** Which training examples come next: all of them once an epoch, in a new order each time. */

export class Minibatches<A> {
  private readonly epochs = new Map<number, ReadonlyArray<A>>()

  constructor(
    private readonly items: ReadonlyArray<A>,
    private readonly size: number,
    private readonly shuffled: (epoch: number, items: ReadonlyArray<A>) => ReadonlyArray<A>
  ) {}

  /** The n-th minibatch, from 0; or one so many further in the same epoch, begun again at its end. */
  at(n: number, further = 0): ReadonlyArray<A> {
    const number = Math.floor(n / Math.ceil(this.items.length / this.size))
    const epoch = this.epochs.get(number) ?? this.next(number)
    const from = (n + further) * this.size % epoch.length
    return epoch.slice(from, from + this.size)
  }

  /** The last minibatch of an epoch is filled up with those that were used least in it; the last to come of several. */
  private next(number: number): ReadonlyArray<A> {
    const order = this.shuffled(number, this.items)
    const epoch = [...order]
    while (epoch.length % this.size !== 0) epoch.push(order.at(-1 - (epoch.length - order.length) % order.length)!)
    this.epochs.set(number, epoch)
    return epoch
  }
}
