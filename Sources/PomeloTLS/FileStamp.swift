// SPDX-License-Identifier: MIT
import PomeloLibc

/// What shows that a file is another one, or was written: its number, size and time, of each file of a server.
struct FileStamp: Sendable, Equatable {
    private var parts: [Int] = []

    init(_ options: TLSServerOptions) {
        for path in [options.certificateFile, options.keyFile, options.clientAuthorityFile] {
            guard let path else { continue }
            var status = stat()
            // A file that is not there has no stamp: it is another one when it is.
            guard unsafe stat(path, &status) == 0 else { continue }
            parts += [
                Int(truncatingIfNeeded: status.st_ino), Int(truncatingIfNeeded: status.st_size),
                Int(truncatingIfNeeded: status.st_mtim.tv_sec), Int(truncatingIfNeeded: status.st_mtim.tv_nsec),
            ]
        }
    }
}
