// SPDX-License-Identifier: MIT
import DequeModule
import PomeloBytes
import PomeloLoop

/// What is to be written to a journal besides the values that wait: fields that go, and dead letters.
///
/// A part takes all of it before it takes a value, and that only when there is room left: a field that goes, and comes
/// again with a later value, is never removed behind that.
@Loop struct JournalChanges {
    private struct Letter {
        /// Nil for one that is dropped.
        var value: Bytes?
        var kept: [@Loop () -> Void] = []
    }

    private var removed: Deque<Bytes> = []
    private var letters: [Bytes: Letter] = [:]
    var isEmpty: Bool { removed.isEmpty && letters.isEmpty }

    mutating func remove(_ field: Bytes) { removed.append(field) }

    mutating func keep(_ field: Bytes, _ value: Bytes, then: (@Loop () -> Void)? = nil) {
        letters[field, default: Letter()].value = value
        if let then { letters[field]?.kept.append(then) }
    }

    mutating func drop(_ field: Bytes) { letters[field, default: Letter()].value = nil }

    /// No journal has the fields any more.
    mutating func forgetRemoved() { removed = [] }

    mutating func move(into part: inout JournalPart) {
        while !part.isFull, let field = removed.popFirst() { part.remove(field) }
        while !part.isFull, let (field, letter) = letters.popFirst() {
            part.change(field, letter.value, letter.kept)
        }
    }

    /// It is not known whether the journal has them.
    mutating func putBack(_ part: JournalPart) {
        removed.insert(contentsOf: part.removed, at: 0)
        for (field, value, kept) in part.letters {
            // A later change of it stands.
            if letters[field] == nil { letters[field] = Letter(value: value) }
            letters[field]?.kept.insert(contentsOf: kept, at: 0)
        }
    }
}
