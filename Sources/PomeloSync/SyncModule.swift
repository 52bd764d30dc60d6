// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop

/// The dead letters of its server, as `sync` of the administration.
///
/// ```
/// {"do":"list","after":7}            {"letters":[{"number","key","id","reason","value"},…]}   a page, behind 7
/// {"do":"retry","numbers":[8,9]}     {"done":[8]}                                             or "drop"
/// ```
///
/// Of a value there is the beginning, as text.
@Loop final class SyncModule: AdminModule {
    private static let page = 256
    private static let shownBytes = 512
    let moduleID = "sync"
    private let service: SyncService

    init(_ service: SyncService) { self.service = service }

    func monitorHandler(_ message: JSON) async throws -> JSON {
        switch message["do"]?.string {
        case "list":
            let after = message["after"]?.int ?? 0
            let behind = service.deadLetters.filter { $0.number > UInt64(clamping: after) }
            return ["letters": .array(behind.prefix(Self.page).map(Self.shown))]
        case "retry": return done(message) { service.retryDeadLetter($0) }
        case "drop": return done(message) { service.dropDeadLetter($0) != nil }
        default: throw Fault(400, "sync lists, retries and drops dead letters")
        }
    }

    private func done(_ message: JSON, _ body: (UInt64) -> Bool) -> JSON {
        let numbers = message["numbers"]?.array?.compactMap(\.int) ?? []
        return ["done": .array(numbers.filter { body(UInt64(clamping: $0)) }.map { .int($0) })]
    }

    private static func shown(_ number: UInt64, _ letter: DeadLetter) -> JSON {
        let value = letter.value.map { JSON.string(String(decoding: $0.prefix(shownBytes), as: UTF8.self)) }
        return [
            "number": JSON(number), "key": .string(letter.key.string),
            "id": letter.id.map { .string($0.string) } ?? .null,
            "reason": .string(letter.reason), "value": value ?? .null,
        ]
    }
}
