using System.Buffers.Text;
using System.Globalization;
using System.Text;

namespace Onggi.Client.Resp;

/// <summary>Reading the words of a command that is about to be sent, without allocation.</summary>
internal static class ArgWords
{
    /// <summary>No word that a command knows, and no number, takes more.</summary>
    public const int MaxBytes = 96;

    extension(in RedisArg arg)
    {
        public bool IsEmpty => arg.MostBytes == 0;

        /// <summary>Whether it is this word, in capitals or not.</summary>
        public bool Is(ReadOnlySpan<byte> word)
        {
            Span<byte> bytes = stackalloc byte[MaxBytes];
            return arg.TryWrite(bytes, out var length) && Ascii.EqualsIgnoreCase(bytes[..length], word);
        }

        public bool TryReadInt64(out long number)
        {
            number = 0;
            Span<byte> bytes = stackalloc byte[MaxBytes];
            return arg.TryWrite(bytes, out var length) && Utf8Parser.TryParse(bytes[..length], out number, out var used) && used == length;
        }

        /// <summary>Numbers as Redis writes scores: <c>inf</c> too.</summary>
        public bool TryReadDouble(out double number)
        {
            number = 0;
            Span<byte> bytes = stackalloc byte[MaxBytes];
            if (!arg.TryWrite(bytes, out var length))
                return false;
            var text = bytes[..length];
            return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out number)
                || Ascii.EqualsIgnoreCase(text.TrimStart("+-"u8), "inf"u8);
        }

        /// <summary><c>false</c> when it is too long to be a word or a number.</summary>
        public bool TryWrite(Span<byte> destination, out int length)
        {
            length = 0;
            if (arg.MostBytes > destination.Length)
                return false;
            length = arg.WriteTo(destination, Encoding.UTF8);
            return true;
        }
    }
}
