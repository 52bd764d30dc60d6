// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore

/// Why an entry of a journal is left as it is.
enum JournalMisfit: Error, Equatable {
    /// A later version of this program wrote it.
    case newer(format: UInt8)
    /// It is no entry at all.
    case damaged
}

/// How values are written into a journal.
///
/// ```
/// field   <key> 0 <id>   or for one without an id   <key> 1 <number of its version, 8 bytes>
/// value   format 1 | number of the version, 8 bytes | length of the server's name, 2 bytes | its name | value
/// letter  field: number of the version | 2 | length of the server's name, 2 bytes | its name | field as above
///         (without 2 … its name as it was written before)
///         value: format 1 | number | server | length of the reason, 2 bytes | reason | 0 or 1 | value when it is 1
/// ```
///
/// Numbers have their high byte first. A key has neither 0 nor 1 in its name. The first byte of each value tells what
/// is behind it: a journal is read by later programs, and maybe by earlier ones.
enum JournalRecord {
    static let format: UInt8 = 1

    // MARK: fields

    static func field(_ key: Text, _ id: Text) -> Bytes {
        let length = key.string.utf8.count + 1 + id.string.utf8.count
        return Bytes(reserving: length) {
            $0.put(key.string)
            $0.append(0)
            $0.put(id.string)
        }
    }

    static func field(_ key: Text, _ number: UInt64) -> Bytes {
        Bytes(reserving: key.string.utf8.count + 9) {
            $0.put(key.string)
            $0.append(1)
            $0.putBigEndian(number)
        }
    }

    static func field(of entry: SyncEntry) -> Bytes {
        entry.id.map { field(entry.key, $0) } ?? field(entry.key, entry.version.number)
    }

    /// Whether a field is of a value without an id.
    static func isOrdered(_ field: Bytes) -> Bool { field.first { $0 <= 1 } == 1 }

    /// Of a field of a value without an id.
    static func number(of field: Bytes) -> UInt64 { field.suffix(8).reduce(0) { $0 << 8 | UInt64($1) } }

    // MARK: values

    static func value(_ value: Bytes, _ version: SyncVersion) -> Bytes {
        let server = name(version.server)
        return Bytes(reserving: 11 + server.utf8.count + value.count) {
            $0.append(format)
            $0.putBigEndian(version.number)
            $0.putBigEndian(UInt16(server.utf8.count))
            $0.put(server)
            $0.put(value.span)
        }
    }

    static func entry(field: Bytes, value: Bytes) throws(JournalMisfit) -> SyncEntry {
        var rest = Rest(value)
        let version = try rest.version()
        guard let end = field.firstIndex(where: { $0 <= 1 }) else { throw .damaged }
        let key = Text(String(decoding: field[..<end], as: UTF8.self))
        let id = field[end] == 0 ? Text(String(decoding: field[(end + 1)...], as: UTF8.self)) : nil
        return SyncEntry(key: key, id: id, value: rest.all(), version: version)
    }

    // MARK: dead letters

    static func field(of letter: DeadLetter) -> Bytes {
        let inner = letter.id.map { field(letter.key, $0) } ?? field(letter.key, letter.version.number)
        let server = name(letter.version.server)
        return Bytes(reserving: 11 + server.utf8.count + inner.count) {
            $0.putBigEndian(letter.version.number)
            $0.append(named)
            $0.putBigEndian(UInt16(server.utf8.count))
            $0.put(server)
            $0.put(inner.span)
        }
    }

    private static let named: UInt8 = 2

    static func value(of letter: DeadLetter) -> Bytes {
        let server = name(letter.version.server)
        let reason = Bytes(letter.reason.utf8.prefix(4096))
        // One that is too long was never acknowledged.
        let value = letter.value.flatMap { $0.count > SyncOwner.maxValueBytes ? nil : $0 }
        return Bytes(reserving: 14 + server.utf8.count + reason.count + (value?.count ?? 0)) {
            $0.append(format)
            $0.putBigEndian(letter.version.number)
            $0.putBigEndian(UInt16(server.utf8.count))
            $0.put(server)
            $0.putBigEndian(UInt16(reason.count))
            $0.put(reason.span)
            $0.append(value == nil ? 0 : 1)
            if let value { $0.put(value.span) }
        }
    }

    static func letter(field: Bytes, value: Bytes) throws(JournalMisfit) -> DeadLetter {
        var rest = Rest(value)
        let version = try rest.version()
        let reason = String(decoding: try rest.counted(), as: UTF8.self)
        let hasValue = try rest.number(UInt8.self) == 1
        var inner = field.dropFirst(8)
        if inner.first == named {
            inner = inner.dropFirst()
            inner = inner.dropFirst(2 + inner.prefix(2).reduce(0) { $0 << 8 | Int($1) })
        }
        guard let end = inner.firstIndex(where: { $0 <= 1 }) else { throw .damaged }
        let id = inner[end] == 0 ? Text(String(decoding: inner[(end + 1)...], as: UTF8.self)) : nil
        return DeadLetter(
            key: Text(String(decoding: inner[..<end], as: UTF8.self)), id: id, value: hasValue ? rest.all() : nil,
            version: version, reason)
    }

    /// Those that can be read; the others are told, and left where they are.
    static func letters(
        in hash: [(field: Bytes, value: Bytes)], _ log: Logger
    ) -> [(field: Bytes, letter: DeadLetter)] {
        var found: [(field: Bytes, letter: DeadLetter)] = []
        for (field, value) in hash {
            do {
                found.append((field, try letter(field: field, value: value)))
            } catch {
                log.error("a dead letter cannot be read, and is left where it is: \(error)")
            }
        }
        return found
    }

    /// No server has a name so long that it must be cut.
    private static func name(_ server: ServerID) -> String {
        server.rawValue.utf8.count > Int(UInt16.max) ? "" : server.rawValue
    }

    /// What is still to be read.
    private struct Rest {
        private let bytes: Bytes
        private var at = 0

        init(_ bytes: Bytes) { self.bytes = bytes }

        mutating func take(_ count: Int) throws(JournalMisfit) -> ArraySlice<UInt8> {
            guard bytes.count - at >= count else { throw .damaged }
            defer { at += count }
            return bytes[at..<(at + count)]
        }

        mutating func number<Value: FixedWidthInteger>(_ type: Value.Type) throws(JournalMisfit) -> Value {
            var number: Value = 0
            for byte in try take(Value.bitWidth / 8) { number = number << 8 | Value(truncatingIfNeeded: byte) }
            return number
        }

        /// With their length before them.
        mutating func counted() throws(JournalMisfit) -> ArraySlice<UInt8> {
            let count = try number(UInt16.self)
            return try take(Int(count))
        }

        mutating func version() throws(JournalMisfit) -> SyncVersion {
            let format = try number(UInt8.self)
            if format != JournalRecord.format { throw .newer(format: format) }
            let number = try number(UInt64.self)
            if number >= VersionClock.limit { throw .damaged }
            return SyncVersion(number: number, server: ServerID(String(decoding: try counted(), as: UTF8.self)))
        }

        mutating func all() -> Bytes {
            defer { at = bytes.count }
            return Bytes(bytes[at...])
        }
    }
}
