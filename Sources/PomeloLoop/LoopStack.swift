// SPDX-License-Identifier: MIT
import CPomelo

/// The stack of the loop's thread, as another thread sees it.
enum LoopStack {
    private static let deepest = 48
    /// There is one place for a sample.
    private static let turn = PosixMutex(())

    /// Where it is, innermost first; empty when that cannot be had.
    static var addresses: [UInt] {
        turn.withLock { _ in
            var addresses = unsafe [UnsafeMutableRawPointer?](repeating: nil, count: deepest)
            let count = unsafe addresses.withUnsafeMutableBufferPointer { buffer in
                unsafe pomelo_backtrace(buffer.baseAddress, Int32(buffer.count))
            }
            return unsafe addresses.prefix(Int(count)).map { UInt(bitPattern: $0) }
        }
    }

    /// The same with names, one frame a line.
    static var text: String { addresses.map(name).joined(separator: "\n") }

    /// The function at an address and how far behind its beginning that is, or the number of one that has no name.
    static func name(of address: UInt) -> String {
        var text = [CChar](repeating: 0, count: 1024)
        let isKnown = unsafe text.withUnsafeMutableBufferPointer { buffer in
            unsafe pomelo_symbol(UnsafeRawPointer(bitPattern: address), buffer.baseAddress, buffer.count)
        }
        guard isKnown else { return "0x" + String(address, radix: 16) }
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
