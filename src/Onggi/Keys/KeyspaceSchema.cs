namespace Onggi.Keys;

/// <summary>The JSON Schema of the catalog, so that editors complete and check <c>keyspace.json</c> while it is written.</summary>
public static class KeyspaceSchema
{
    /// <summary>The schema's text (JSON Schema 2020-12).</summary>
    public static string Json
    {
        get
        {
            using var stream = typeof(KeyspaceSchema).Assembly.GetManifestResourceStream("keyspace.schema.json")!;
            using var reader = new StreamReader(stream);
            return reader.ReadToEnd();
        }
    }
}
