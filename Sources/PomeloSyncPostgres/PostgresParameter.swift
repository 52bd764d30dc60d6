// SPDX-License-Identifier: MIT
#if Postgres
    import PomeloBytes

    /// A parameter of a statement, in the server's binary format.
    ///
    /// ```
    /// array    4 dimensions, 1 | 4 has nulls, 0 | 4 type of the elements | 4 count | 4 lower bound, 1
    ///          per element   4 length, the bytes
    /// int8     8, the highest byte first
    /// ```
    ///
    /// - Source: PostgreSQL, `src/backend/utils/adt/arrayfuncs.c`, `array_recv`.
    struct PostgresParameter {
        /// The number of the type in `pg_type`.
        let type: UInt32
        let bytes: Bytes

        static func text(_ text: String) -> Self { Self(type: 25, bytes: Array(text.utf8)) }
        static func integer(_ number: Int64) -> Self { Self(type: 20, bytes: bigEndian(number)) }

        static func texts(_ texts: [Bytes]) -> Self { array(1009, of: 25, texts) }
        static func blobs(_ blobs: [Bytes]) -> Self { array(1001, of: 17, blobs) }
        static func integers(_ numbers: [Int64]) -> Self { array(1016, of: 20, numbers.map(bigEndian)) }

        private static func array(_ type: UInt32, of element: Int32, _ parts: [Bytes]) -> Self {
            // An array of none has no dimension.
            let head: [Int32] = parts.isEmpty ? [0, 0, element] : [1, 0, element, Int32(clamping: parts.count), 1]
            var bytes = head.flatMap(bigEndian)
            bytes.reserveCapacity(bytes.count + parts.reduce(0) { $0 + 4 + $1.count })
            for part in parts {
                bytes += bigEndian(Int32(clamping: part.count))
                bytes += part
            }
            return Self(type: type, bytes: bytes)
        }

        private static func bigEndian<Number: FixedWidthInteger>(_ number: Number) -> Bytes {
            stride(from: Number.bitWidth - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: number >> $0) }
        }
    }
#endif
