// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop

/// Values that sinks do not take. With a journal they are kept beside it, and survive what it survives.
extension SyncService {
    /// Those there are, the oldest first, by the numbers that `dropDeadLetter` and `retryDeadLetter` take.
    public var deadLetters: [(number: UInt64, letter: DeadLetter)] {
        owner.letters.letters.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// Forgets one; returns it, or nil when there is none of the number.
    @discardableResult
    public func dropDeadLetter(_ number: UInt64) -> DeadLetter? {
        guard let letter = owner.letters.remove(number) else { return nil }
        owner.journal?.drop(letter)
        return letter
    }

    /// Tries one again, with the others that wait.
    ///
    /// It survives as a dead letter until a sink has it, and is one again when that does not take it. A later value of
    /// its id stays: a sink refuses the older one.
    ///
    /// - Returns: false when there is none of the number, its value could not be encoded, or its key has no sink.
    @discardableResult
    public func retryDeadLetter(_ number: UInt64) -> Bool {
        guard !owner.isClosed, let letter = owner.letters.letters[number], let value = letter.value,
            let lane = lanes.mapped(letter.key, letter.id != nil)
        else { return false }
        owner.letters.retry(number)
        let entry = SyncEntry(key: letter.key, id: letter.id, value: value, version: letter.version)
        let origins = [retried.origin(number, value)]
        _ = lane.line.adopt([Replay(entry: entry, since: owner.clock.now, origins: origins)])
        lane.writer.wake()
        return true
    }
}
