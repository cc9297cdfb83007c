namespace Onggi.Client.Resp;

/// <summary>What a RESP3 element is. The three spellings of null (<c>_</c>, <c>$-1</c>, <c>*-1</c>) are one.</summary>
public enum RespType
{
    /// <summary>Nothing has been read yet.</summary>
    None,

    /// <summary><c>_</c>, <c>$-1</c> or <c>*-1</c>.</summary>
    Null,

    /// <summary><c>+OK</c></summary>
    SimpleString,

    /// <summary><c>$</c>: bytes of any content.</summary>
    BulkString,

    /// <summary><c>=txt:</c>: a text with its format; the value excludes the four bytes of the format.</summary>
    VerbatimString,

    /// <summary><c>-ERR …</c></summary>
    SimpleError,

    /// <summary><c>!</c></summary>
    BulkError,

    /// <summary><c>:</c>, a 64-bit integer.</summary>
    Integer,

    /// <summary><c>(</c>, an integer of any size, as digits.</summary>
    BigNumber,

    /// <summary><c>,</c></summary>
    Double,

    /// <summary><c>#t</c> or <c>#f</c></summary>
    Boolean,

    /// <summary><c>*</c></summary>
    Array,

    /// <summary><c>~</c></summary>
    Set,

    /// <summary><c>%</c>: its count is of keys and values together, so twice the number of pairs.</summary>
    Map,

    /// <summary><c>></c>: sent by the server on its own account, never a reply.</summary>
    Push,
}
