// SPDX-License-Identifier: MIT

/// The order in which ready jobs start.
public enum JobOrder: Sendable {
    /// Start order is arrival order, as in Node.
    case fifo
    /// A seeded pick among all ready jobs, for simulation.
    case shuffled(seed: UInt64)
}

/// A growable power-of-two ring of jobs; loop thread only, and as long as the process.
@safe final class JobRing {
    private var buffer: UnsafeMutablePointer<UnownedJob>
    private var capacity = 256
    private var head = 0
    private var tail = 0
    private var shuffle: SplitMix64?

    init() {
        unsafe buffer = .allocate(capacity: capacity)
    }

    var isEmpty: Bool { head == tail }

    func setOrder(_ order: JobOrder) {
        switch order {
        case .fifo: shuffle = nil
        case .shuffled(let seed): shuffle = SplitMix64(seed: seed)
        }
    }

    @inline(__always)
    func push(_ job: UnownedJob) {
        if tail &- head == capacity { grow() }
        unsafe (buffer + (tail & (capacity &- 1))).initialize(to: job)
        tail &+= 1
    }

    @inline(__always)
    func pop() -> UnownedJob? {
        if head == tail { return nil }
        if shuffle != nil { swapRandomToFront() }
        let job = unsafe buffer[head & (capacity &- 1)]
        head &+= 1
        return job
    }

    @inline(never)
    private func swapRandomToFront() {
        guard var generator = shuffle else { return }
        let pick = head &+ Int(generator.next() % UInt64(tail &- head))
        shuffle = generator
        let first = head & (capacity &- 1)
        let other = pick & (capacity &- 1)
        let job = unsafe buffer[first]
        unsafe buffer[first] = buffer[other]
        unsafe buffer[other] = job
    }

    @inline(never)
    private func grow() {
        let larger = UnsafeMutablePointer<UnownedJob>.allocate(capacity: capacity * 2)
        for index in head..<tail {
            unsafe (larger + (index & (capacity * 2 - 1))).initialize(to: buffer[index & (capacity - 1)])
        }
        unsafe buffer.deallocate()
        unsafe buffer = larger
        capacity *= 2
    }
}
