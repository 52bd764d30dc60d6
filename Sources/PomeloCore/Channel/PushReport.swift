// SPDX-License-Identifier: MIT

/// What became of a push; partial failure is a result, not an error, and is never reported as success.
public struct PushReport: Sendable, Equatable {
    /// Sessions whose outbound queue took the message.
    public var queued = 0
    /// Users without a session where they were looked for; only pushes by user id fill it.
    public var noSession: [UserID] = []
    /// Sessions that could not take it: not yet open, closing, or too slow a reader.
    public var slow = 0
    /// Frontends that did not confirm, and why; some of their members may have been reached.
    public var failed: [ServerID: RPCError] = [:]
    /// Users looked for at those frontends, or of whom it is not known where they are, sorted.
    ///
    /// Only pushes by user id fill it.
    public var failedUids: [UserID] = []
    /// The view of the cluster was known to lack servers, or likely to, when this was sent to all: there may be
    /// frontends that got nothing.
    public var isIncomplete = false
    /// A frontend passed the word that a user has come on behind the word that it is gone: as is usual when somebody
    /// comes back, or because the first was slow.
    package var followsGone = false

    /// The report of a push to nobody.
    public init() {}

    /// Nobody was missed.
    public var isComplete: Bool {
        noSession.isEmpty && slow == 0 && failed.isEmpty && failedUids.isEmpty && !isIncomplete
    }

    /// Adds another part of the same push.
    public mutating func merge(_ other: PushReport) {
        queued += other.queued
        slow += other.slow
        // Most parts have none of these.
        if !other.noSession.isEmpty { noSession += other.noSession }
        if !other.failed.isEmpty { failed.merge(other.failed) { first, _ in first } }
        if !other.failedUids.isEmpty { failedUids = Set(failedUids + other.failedUids).sorted() }
        isIncomplete = isIncomplete || other.isIncomplete
        followsGone = followsGone || other.followsGone
    }
}
