// SPDX-License-Identifier: MIT
public import PomeloCore
import PomeloTLS

extension HybridOptions: FileOptions {
    /// `connector.json`.
    public static var fileName: String { "connector" }

    /// No heartbeat, no dictionary, no schemas.
    public init() { self.init(heartbeat: nil) }

    /// Reads the keys, all of them optional; durations have `Seconds` behind their name, 0 turns heartbeats, or
    /// looks at the files of the schemas, off.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file and the key.
    public mutating func read(_ reader: inout OptionReader) throws {
        heartbeat = try reader.seconds("heartbeatSeconds", orZero: true) ?? heartbeat
        timeout = try reader.seconds("timeoutSeconds") ?? timeout
        resetOnData = try reader.bool("resetOnData") ?? resetOnData
        inflatesBodies = try reader.bool("inflatesBodies") ?? inflatesBodies
        let listed = try reader.strings("origins")
        origins = listed.isEmpty ? origins : listed
        useCrypto = try reader.bool("useCrypto") ?? useCrypto
        let routes = try reader.strings("dictionary")
        // The place in the file is the code: who wants those of pomelo lists the handlers' routes first, sorted.
        if !routes.isEmpty { dictionary = (handlers: [], extra: routes) }
        try limits.read(&reader)
        tls = try TLSServerOptions.read(&reader) ?? tls
        if let usesProtobuf = try reader.bool("useProtobuf") {
            guard let configuration = reader.configuration else {
                throw reader.misfit("useProtobuf needs a configuration folder with the files of the schemas")
            }
            protobuf = usesProtobuf ? .files(configuration) : nil
        }
        if let check = try reader.seconds("protobufCheckSeconds", orZero: true) {
            protobufCheck = check > .zero ? check : nil
        }
        let bytes = 1024...1 << 23
        maxProtobufFileBytes = try reader.int("maxProtobufFileBytes", in: bytes) ?? maxProtobufFileBytes
        maxIgnoredPackages = try reader.int("maxIgnoredPackages", in: 0...1 << 20) ?? maxIgnoredPackages
    }
}
