// SPDX-License-Identifier: MIT
public import PomeloBytes

/// How those who take part in a point work together.
public enum ExtensionMode: String, Sendable, CaseIterable {
    /// One answers: the first of them.
    case single
    /// One after the other, each with the data that the one before has made.
    case chain
    /// All are told; nobody waits for them.
    case fanout
    /// All are asked at once; the first answer counts.
    case race
}

/// What a question comes to when it is not answered: in time, sensibly, or because too much waits.
public enum FailurePolicy: String, Sendable, CaseIterable {
    /// It goes on as if nobody had been asked, and is tagged.
    case open
    /// It is refused.
    case closed
}

/// A place in what servers do where plugins take part.
///
/// Two points are the same when owner and name are.
public struct ExtensionPoint: Sendable, Hashable, CustomStringConvertible {
    /// The most bytes that the data of an event may have as JSON, and so those of an answer: 1 MiB.
    public static let dataLimit = 1 << 20

    /// Whose point it is: `chat`, `keel`, or a plugin's id.
    public let owner: Text
    /// What it is called among its owner's.
    public let name: PointName
    /// How its implementers work together.
    public let mode: ExtensionMode
    /// Of a point that is asked: what all of them may take, from the question on.
    ///
    /// Of one that is told: what one call of an outside implementer may.
    public let budget: Duration
    /// What a question comes to that is not answered, unless the one who asks says otherwise.
    public let onFailure: FailurePolicy
    /// Of a point that is told: a later event makes those with its key that wait superfluous.
    public let isCoalesced: Bool
    /// How long an answer stands for the same key; nil: everybody is asked each time.
    public let keeps: Duration?

    /// A point; those of the cluster are there already.
    public init(
        owner: Text, name: PointName, mode: ExtensionMode, budget: Duration, onFailure: FailurePolicy = .open,
        isCoalesced: Bool = false, keeps: Duration? = nil
    ) {
        self.owner = owner
        self.name = name
        self.mode = mode
        self.budget = budget
        self.onFailure = onFailure
        self.isCoalesced = isCoalesced
        self.keeps = keeps
    }

    /// Whether somebody waits for the answer; else its implementers are told what happened.
    public var isAsked: Bool { mode != .fanout }
    /// `owner/name`.
    public var description: String { "\(owner)/\(name)" }
    /// Whether both have one owner and one name.
    public static func == (a: ExtensionPoint, b: ExtensionPoint) -> Bool { a.owner == b.owner && a.name == b.name }
    /// Hashes owner and name.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(owner)
        hasher.combine(name)
    }
}
