using System.Globalization;
using System.Runtime.InteropServices;

namespace Onggi.Migration;

/// <summary>How far the keys are on their way to another server, database or prefix.</summary>
public enum MigrationPhase
{
    /// <summary>The old side is the true one; nothing is under way.</summary>
    Old,

    /// <summary>The old side is the true one; the tool copies to the new one and follows every change.</summary>
    Mirror,

    /// <summary>The same, and both sides were found equal once: reads may be compared.</summary>
    Shadow,

    /// <summary>The new side is the true one; the old one refuses writes.</summary>
    New,
}

/// <summary>What the key <c>{environment}:onggi:migration:{name}</c> holds: a number that grows with every change, and the phase, as in <c>7 shadow</c>.</summary>
/// <param name="Number">Grows with every change; 0 where there never was one.</param>
/// <param name="Phase">Which side is the true one.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct MigrationEpoch(long Number, MigrationPhase Phase)
{
    /// <summary>Reads it; what is missing is 0 and <see cref="MigrationPhase.Old"/>.</summary>
    /// <exception cref="FormatException">The text is none: somebody else has written the key.</exception>
    public static MigrationEpoch Parse(string? text)
    {
        if (string.IsNullOrEmpty(text))
            return default;
        var space = text.IndexOf(' ', StringComparison.Ordinal);
        if (
            space > 0
            && long.TryParse(text.AsSpan(0, space), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && text[(space + 1)..] is var word
            && Array.FindIndex(Words, known => known == word) is >= 0 and var phase
        )
            return new MigrationEpoch(number, (MigrationPhase)phase);
        throw new FormatException(
            "The epoch of the migration cannot be read: its key holds something else. Write for example \"1 old\" there once it is known which side is the true one."
        );
    }

    /// <summary>As it stands in Redis.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Number} {Words[(int)Phase]}");

    private static readonly string[] Words = ["old", "mirror", "shadow", "new"];
}
