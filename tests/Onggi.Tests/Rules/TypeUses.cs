using System.Collections.Immutable;
using System.Reflection.Emit;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;

namespace Onggi.Tests.Rules;

/// <summary>One type that names another of the same assembly. Nested types count as the outermost one around them.</summary>
internal readonly record struct TypeUse(string From, string To);

/// <summary>
/// Reads from compiled code which types use which: in bases, fields, signatures, locals, attributes and every instruction. Sources would
/// not do: a using line can be superfluous, and a type of an outer namespace needs none.
/// </summary>
internal sealed class TypeUses
{
    private static readonly Dictionary<short, OperandType> Operands = typeof(OpCodes)
        .GetFields()
        .Select(field => (OpCode)field.GetValue(null)!)
        .ToDictionary(code => code.Value, code => code.OperandType);

    private readonly MetadataReader _metadata;
    private readonly PEReader _image;
    private readonly Collector _collector;
    private readonly HashSet<TypeDefinitionHandle> _used = [];

    private TypeUses(PEReader image)
    {
        _image = image;
        _metadata = image.GetMetadataReader();
        _collector = new Collector(_used);
    }

    /// <summary>All uses between two different types of the assembly in this file.</summary>
    public static IReadOnlyCollection<TypeUse> Read(string assembly)
    {
        using var image = new PEReader(File.OpenRead(assembly));
        return new TypeUses(image).Read();
    }

    private HashSet<TypeUse> Read()
    {
        var uses = new HashSet<TypeUse>();
        foreach (var handle in _metadata.TypeDefinitions)
        {
            _used.Clear();
            Collect(_metadata.GetTypeDefinition(handle));
            var from = Outermost(handle);
            foreach (var to in _used.Select(Outermost))
            {
                if (from != to && from[0] != '<' && to[0] != '<')
                    uses.Add(new(from, to));
            }
        }
        return uses;
    }

    private void Collect(TypeDefinition type)
    {
        Collect(type.BaseType);
        Collect(type.GetCustomAttributes());
        foreach (var implemented in type.GetInterfaceImplementations())
            Collect(_metadata.GetInterfaceImplementation(implemented).Interface);
        Collect(type.GetGenericParameters());
        foreach (var handle in type.GetFields())
        {
            var field = _metadata.GetFieldDefinition(handle);
            field.DecodeSignature(_collector, null);
            Collect(field.GetCustomAttributes());
        }
        foreach (var handle in type.GetMethods())
        {
            var method = _metadata.GetMethodDefinition(handle);
            method.DecodeSignature(_collector, null);
            Collect(method.GetCustomAttributes());
            Collect(method.GetGenericParameters());
            if (method.RelativeVirtualAddress != 0)
                Collect(_image.GetMethodBody(method.RelativeVirtualAddress));
        }
    }

    private void Collect(GenericParameterHandleCollection parameters)
    {
        foreach (var parameter in parameters)
        {
            foreach (var constraint in _metadata.GetGenericParameter(parameter).GetConstraints())
                Collect(_metadata.GetGenericParameterConstraint(constraint).Type);
        }
    }

    private void Collect(CustomAttributeHandleCollection attributes)
    {
        foreach (var attribute in attributes)
            Collect(_metadata.GetCustomAttribute(attribute).Constructor);
    }

    private void Collect(MethodBodyBlock body)
    {
        if (!body.LocalSignature.IsNil)
            _metadata.GetStandaloneSignature(body.LocalSignature).DecodeLocalSignature(_collector, null);
        foreach (var region in body.ExceptionRegions)
            Collect(region.CatchType);
        var code = body.GetILReader();
        while (code.RemainingBytes > 0)
        {
            var first = code.ReadByte();
            var value = first == 0xFE ? (short)((first << 8) | code.ReadByte()) : first;
            switch (Operands[value])
            {
                case OperandType.InlineField
                or OperandType.InlineMethod
                or OperandType.InlineTok
                or OperandType.InlineType
                or OperandType.InlineSig:
                    var token = MetadataTokens.EntityHandle(code.ReadInt32());
                    // typeof(X) in a message names X and uses nothing of it.
                    if (value != OpCodes.Ldtoken.Value)
                        Collect(token);
                    break;
                case OperandType.InlineSwitch:
                    var targets = code.ReadInt32();
                    code.Offset += sizeof(int) * targets;
                    break;
                case OperandType.InlineI8 or OperandType.InlineR:
                    code.Offset += sizeof(long);
                    break;
                case OperandType.InlineVar:
                    code.Offset += sizeof(short);
                    break;
                case OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar:
                    code.Offset += sizeof(byte);
                    break;
                case OperandType.InlineNone:
                    break;
                default:
                    code.Offset += sizeof(int);
                    break;
            }
        }
    }

    private void Collect(EntityHandle handle)
    {
        if (handle.IsNil)
            return;
        switch (handle.Kind)
        {
            case HandleKind.TypeDefinition:
                _used.Add((TypeDefinitionHandle)handle);
                break;
            case HandleKind.TypeSpecification:
                _metadata.GetTypeSpecification((TypeSpecificationHandle)handle).DecodeSignature(_collector, null);
                break;
            case HandleKind.FieldDefinition:
                Collect(_metadata.GetFieldDefinition((FieldDefinitionHandle)handle).GetDeclaringType());
                break;
            case HandleKind.MethodDefinition:
                Collect(_metadata.GetMethodDefinition((MethodDefinitionHandle)handle).GetDeclaringType());
                break;
            case HandleKind.MethodSpecification:
                var generic = _metadata.GetMethodSpecification((MethodSpecificationHandle)handle);
                generic.DecodeSignature(_collector, null);
                Collect(generic.Method);
                break;
            case HandleKind.MemberReference:
                var member = _metadata.GetMemberReference((MemberReferenceHandle)handle);
                Collect(member.Parent);
                if (member.GetKind() == MemberReferenceKind.Method)
                    member.DecodeMethodSignature(_collector, null);
                else
                    member.DecodeFieldSignature(_collector, null);
                break;
            default:
                // References to other assemblies.
                break;
        }
    }

    private string Outermost(TypeDefinitionHandle handle)
    {
        var type = _metadata.GetTypeDefinition(handle);
        while (!type.GetDeclaringType().IsNil)
            type = _metadata.GetTypeDefinition(type.GetDeclaringType());
        var space = _metadata.GetString(type.Namespace);
        var name = _metadata.GetString(type.Name);
        return space.Length == 0 ? name : $"{space}.{name}";
    }

    /// <summary>Walks signatures only for the types of this assembly in them.</summary>
    private sealed class Collector(HashSet<TypeDefinitionHandle> used) : ISignatureTypeProvider<Nothing, object?>
    {
        public Nothing GetTypeFromDefinition(MetadataReader reader, TypeDefinitionHandle handle, byte rawTypeKind)
        {
            used.Add(handle);
            return default;
        }

        public Nothing GetTypeFromSpecification(
            MetadataReader reader,
            object? genericContext,
            TypeSpecificationHandle handle,
            byte rawTypeKind
        ) => reader.GetTypeSpecification(handle).DecodeSignature(this, genericContext);

        public Nothing GetArrayType(Nothing elementType, ArrayShape shape) => default;

        public Nothing GetByReferenceType(Nothing elementType) => default;

        public Nothing GetFunctionPointerType(MethodSignature<Nothing> signature) => default;

        public Nothing GetGenericInstantiation(Nothing genericType, ImmutableArray<Nothing> typeArguments) => default;

        public Nothing GetGenericMethodParameter(object? genericContext, int index) => default;

        public Nothing GetGenericTypeParameter(object? genericContext, int index) => default;

        public Nothing GetModifiedType(Nothing modifier, Nothing unmodifiedType, bool isRequired) => default;

        public Nothing GetPinnedType(Nothing elementType) => default;

        public Nothing GetPointerType(Nothing elementType) => default;

        public Nothing GetPrimitiveType(PrimitiveTypeCode typeCode) => default;

        public Nothing GetSZArrayType(Nothing elementType) => default;

        public Nothing GetTypeFromReference(MetadataReader reader, TypeReferenceHandle handle, byte rawTypeKind) => default;
    }

    private readonly record struct Nothing;
}
