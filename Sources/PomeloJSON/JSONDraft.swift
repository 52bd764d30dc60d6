// SPDX-License-Identifier: MIT
import PomeloBytes

/// A text that grows at its end: every value being written has a frame, the innermost last.
///
/// ```
/// {"a":1,"items":[{"id":7         frames   object from 0 · array from 15 · object from 16
///                                 entries  "a" "items"   ·  none         · "id"
/// ```
///
/// A value writes itself straight into the text, so a frame only knows where its value begins and which keys it has.
/// Two things cannot be written straight. A container that stays open beside others (`superEncoder`, `nestedContainer`)
/// is a part, a draft of its own, whose text is put in its place when the value around it ends; and a key that comes
/// twice leaves its first text out then. A value that fails is taken back to where it began: its mark.
struct JSONDraft {
    enum Kind { case nothing, value, array, object }

    struct Frame {
        /// Where the value begins.
        let start: Int
        /// Its entries are from here on, until the next frame's.
        let firstEntry: Int
        var kind = Kind.nothing
        /// Elements or keys written.
        var count = 0
        /// The bits of every key there is.
        var seen: UInt64 = 0
        var hasParts = false
        var hasRepeatedKeys = false

        /// False when it may be there already.
        mutating func addKey(_ bits: UInt64) -> Bool {
            count &+= 1
            defer { seen |= bits }
            return count == 1 || seen & bits != bits
        }
    }

    /// A key of an object, or an element that is a part.
    struct Entry {
        let name: String
        let start: Int
        var part: JSONOutput?
    }

    struct Mark {
        let bytes: Int
        let entries: Int
        let frame: Frame
    }

    private(set) var bytes: Bytes = []
    private(set) var frames: [Frame] = []
    private var entries: [Entry] = []

    init() {
        bytes.reserveCapacity(256)
        frames.reserveCapacity(4)
        entries.reserveCapacity(16)
    }

    mutating func open() -> Int {
        frames.append(Frame(start: bytes.count, firstEntry: entries.count))
        return frames.count &- 1
    }

    /// Goes on with a container of the same kind, else begins the frame's value anew.
    mutating func become(_ kind: Kind, _ frame: Int) {
        let old = frames[frame]
        if kind == old.kind, kind != .value { return }
        if old.kind != .nothing {
            undo(frame, Mark(bytes: old.start, entries: old.firstEntry, frame: old))
            frames[frame] = Frame(start: old.start, firstEntry: old.firstEntry)
        }
        frames[frame].kind = kind
        switch kind {
        case .array: bytes.append(UInt8(ascii: "["))
        case .object: bytes.append(UInt8(ascii: "{"))
        case .nothing, .value: break
        }
    }

    @inline(__always) @discardableResult
    mutating func beginElement(of frame: Int) -> Mark {
        let before = Mark(bytes: bytes.count, entries: entries.count, frame: frames[frame])
        if before.frame.count > 0 { bytes.append(UInt8(ascii: ",")) }
        frames[frame].count &+= 1
        return before
    }

    @inline(__always) @discardableResult
    mutating func begin(_ name: String, in frame: Int) -> Mark {
        let text = name.utf8Span.span
        let before = Mark(bytes: bytes.count, entries: entries.count, frame: frames[frame])
        let isFirst = before.frame.count == 0
        let isNew = frames[frame].addKey(JSONTape.bits(text))
        if !isNew { noteRepeated(name, in: frame) }
        entries.append(Entry(name: name, start: isFirst ? bytes.count : bytes.count &+ 1))
        JSONWriter.writeKey(text, isFirst: isFirst, into: &bytes)
        return before
    }

    private mutating func noteRepeated(_ name: String, in frame: Int) {
        let here = frames[frame]
        // With so many keys it is cheaper to look once, at the end.
        frames[frame].hasRepeatedKeys =
            here.hasRepeatedKeys || here.count > 64
            || entries[here.firstEntry...].contains { Text($0.name) == Text(name) }
    }

    /// Ends the innermost value; false when it wrote nothing.
    mutating func close() -> Bool {
        let frame = frames[frames.count &- 1]
        if frame.hasParts || frame.hasRepeatedKeys { assemble(frame) }
        switch frame.kind {
        case .nothing: return false
        case .value: break
        case .array: bytes.append(UInt8(ascii: "]"))
        case .object: bytes.append(UInt8(ascii: "}"))
        }
        entries.removeLast(entries.count &- frame.firstEntry)
        frames.removeLast()
        return true
    }

    /// Takes back all that was written in a frame, or in frames within it, since it was marked.
    mutating func undo(_ frame: Int, _ mark: Mark) {
        bytes.removeLast(bytes.count - mark.bytes)
        entries.removeLast(entries.count - mark.entries)
        frames.removeLast(frames.count - frame - 1)
        frames[frame] = mark.frame
    }

    mutating func set(_ frame: Int, _ json: JSON) {
        become(.value, frame)
        json.write(into: &bytes)
    }

    mutating func put(_ frame: Int, _ key: String, _ json: JSON) {
        begin(key, in: frame)
        json.write(into: &bytes)
    }

    mutating func append(_ frame: Int, _ json: JSON) {
        beginElement(of: frame)
        json.write(into: &bytes)
    }

    mutating func write(_ json: JSON) { json.write(into: &bytes) }

    mutating func write(_ texts: [String]) {
        bytes.append(UInt8(ascii: "["))
        for index in texts.indices {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            JSONWriter.write(texts[index], into: &bytes)
        }
        bytes.append(UInt8(ascii: "]"))
    }

    func path(to frame: Int) -> [any CodingKey] {
        frames[..<frame].indices.compactMap { index in
            switch frames[index].kind {
            case .object: JSONKey(stringValue: entries[frames[index + 1].firstEntry - 1].name)
            case .array: JSONKey(intValue: frames[index].count - 1)
            case .nothing, .value: nil
            }
        }
    }
}

/// Parts, and keys written twice: the text is put in order when the value around them is complete.
extension JSONDraft {
    func part(of name: String, in frame: Int) -> JSONOutput? {
        entries[frames[frame].firstEntry...].last { Text($0.name) == Text(name) }?.part
    }

    /// The element or key begun last is a part.
    mutating func add(_ part: JSONOutput, in frame: Int) {
        if frames[frame].kind == .array { entries.append(Entry(name: "", start: bytes.count)) }
        entries[entries.count - 1].part = part
        frames[frame].hasParts = true
    }

    private mutating func assemble(_ frame: Frame) {
        var whole: Bytes = []
        let own = frame.firstEntry..<entries.count
        if frame.kind == .array {
            var start = frame.start
            for entry in entries[own] {
                whole += bytes[start..<entry.start] + (entry.part?.finish() ?? [])
                start = entry.start
            }
            whole += bytes[start...]
        } else {
            for index in frame.hasRepeatedKeys ? lastOfEachName(own) : Array(own) {
                whole.append(whole.isEmpty ? UInt8(ascii: "{") : UInt8(ascii: ","))
                let end = index + 1 < entries.count ? entries[index + 1].start - 1 : bytes.count
                whole += bytes[entries[index].start..<end] + (entries[index].part?.finish() ?? [])
            }
        }
        bytes.removeLast(bytes.count - frame.start)
        bytes += whole
    }

    /// A repeated key keeps its first place and its last value.
    private func lastOfEachName(_ own: Range<Int>) -> [Int] {
        var order: [Int] = []
        var places: [Text: Int] = [:]
        for index in own {
            let name = Text(entries[index].name)
            if let place = places[name] {
                order[place] = index
            } else {
                places[name] = order.count
                order.append(index)
            }
        }
        return order
    }
}
