// SPDX-License-Identifier: MIT
public import PomeloLoop

/// State whose truth is this server's memory, and of which a store has a copy.
@Loop public protocol PublishedState: AnyObject {
    /// What it is, for logs.
    var name: String { get }
    /// Which start of the store the copy is in; empty when it does not tell.
    var storeRun: String { get }
    /// Whether the first write is to look for what former servers left, as after a start of the store.
    var looksAtStart: Bool { get }
    /// Whether the copy differs, and something can be written now.
    var hasChanges: Bool { get }
    /// Whether the copy differs, or may soon, by what is not decided yet.
    var isBehind: Bool { get }
    /// Writes some of what differs together with the sequence, and calls `written` with the sequence that the store
    /// held before, as soon as that is known; what could not be written differs still.
    func publish(_ sequence: UInt64, written: @Loop (UInt64?) -> Void) async throws
    /// The last sequence the store holds for this instance; nil when it holds nothing of it.
    func publishedSequence() async throws -> UInt64?
    /// The store has lost what was written after `held`, or everything: notes what is to be written again.
    func lost(since held: UInt64?) async throws
    /// Compares some of the copy, once a second: heals what others have removed.
    func sweep() async throws
}

extension PublishedState {
    /// Not told.
    public var storeRun: String { "" }
    /// No.
    public var looksAtStart: Bool { false }
}
