// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloTLS

extension TLSServerOptions {
    /// Reads `"tls": {"certificate", "key", "clientAuthority"?, "minimumVersion"?, "reloadSeconds"?}`: names of files,
    /// from the folder in which the program was started.
    ///
    /// - Returns: nil when there is no such key.
    /// - Throws: `PomeloError` `.configuration` naming the file and the key.
    static func read(_ reader: inout OptionReader) throws -> TLSServerOptions? {
        guard var reader = try reader.nested("tls") else { return nil }
        func file(_ key: String) throws -> String {
            guard let name = try reader.string(key), !name.isEmpty else {
                throw reader.misfit("\(key) is missing: the name of a file in PEM")
            }
            return name
        }
        var options = TLSServerOptions(certificateFile: try file("certificate"), keyFile: try file("key"))
        options.clientAuthorityFile = try reader.string("clientAuthority")
        options.minimumVersion = try reader.choice("minimumVersion") ?? options.minimumVersion
        options.reloadInterval = try reader.seconds("reloadSeconds", orZero: true) ?? options.reloadInterval
        try reader.finish()
        return options
    }
}
