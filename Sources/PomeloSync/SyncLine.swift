// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop

/// What one attempt has made of an entry.
enum Attempt: Equatable {
    case written
    /// To be tried again; an attempt that `counts` brings it nearer to the dead letters.
    case failed(String, counts: Bool)
    /// To the dead letters.
    case refused(String)
}

/// The values of one key that wait for a sink, as their writer and the journal see them.
@Loop protocol SyncLine: AnyObject {
    var name: Text { get }
    /// Values that are not written, those on their way included.
    var count: Int { get }
    var hasDue: Bool { get }
    /// Whether some become due with time.
    var isTicking: Bool { get }
    /// Since when the oldest of them waits, in monotonic nanoseconds.
    var oldest: UInt64? { get }
    func tick()
    func makeAllDue()
    /// Whether none may be written before those that came earlier.
    var isOrdered: Bool { get }
    /// The next that are due, on their way from now on.
    func take(_ limit: Int) -> [SyncEntry]
    /// What has become of one that was taken.
    func conclude(_ entry: SyncEntry, _ attempt: Attempt)
    /// Nothing is tried any more: who waits for that is told.
    func end(_ reason: String)

    // MARK: the journal

    /// What came or changed until now is to be written to the journal.
    func beginRound()
    /// Puts the next of the round into the part until that is full.
    func fill(_ part: inout JournalPart)
    /// The journal has the part that was filled; or it is not known, and a later round has it again.
    func endPart(isWritten: Bool)
    /// What is left of the round is for a later one.
    func abandonRound()
    /// The journal has lost what it had: all is for the next round.
    func forgetJournal()
    /// Values that came back, due at once; false for those that were never away.
    func adopt(_ replays: [Replay]) -> [Bool]
    /// All of those that no sink has yet.
    var replayed: [Replay] { get }
}
