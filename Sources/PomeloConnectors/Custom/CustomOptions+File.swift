// SPDX-License-Identifier: MIT
public import PomeloCore

extension CustomOptions: FileOptions {
    /// `customConnector.json`.
    public static var fileName: String { "customConnector" }

    /// Reads the keys, all of them optional.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file and the key.
    public mutating func read(_ reader: inout OptionReader) throws {
        let bytes = 64...1 << 30
        maxOutboundBytes = try reader.int("maxOutboundBytes", in: bytes) ?? maxOutboundBytes
        slowReaders = try reader.choice("slowReaders") ?? slowReaders
        maxHeldBytes = try reader.int("maxHeldBytes", in: bytes) ?? maxHeldBytes
        maxTotalHeldBytes = try reader.int("maxTotalHeldBytes", in: 64...1 << 40) ?? maxTotalHeldBytes
        maxUnencoded = try reader.int("maxUnencoded", in: 1...1 << 20) ?? maxUnencoded
        codecDeadline = try reader.seconds("codecDeadlineSeconds") ?? codecDeadline
        maxMessagesPerTurn = try reader.int("maxMessagesPerTurn", in: 1...1 << 20) ?? maxMessagesPerTurn
        try rate.read(&reader)
    }
}
