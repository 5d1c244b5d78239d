/*
 * The CPUID bits that this room names.
 *
 * Spec: SDM 2A "CPUID"; APM 3 "Obtaining Processor Information Via the CPUID Instruction".
 */
#ifndef HV_X86_POLICY_FEATURES_H
#define HV_X86_POLICY_FEATURES_H

#include <vmmu/base.h>

#define BIT32(n)          (UINT32_C(1) << (n))

/* Leaf 1, ECX. */
#define F1C_SSE3          BIT32(0)
#define F1C_PCLMULQDQ     BIT32(1)
#define F1C_SSSE3         BIT32(9)
#define F1C_FMA           BIT32(12)
#define F1C_CX16          BIT32(13)
#define F1C_PCID          BIT32(17)
#define F1C_SSE41         BIT32(19)
#define F1C_SSE42         BIT32(20)
#define F1C_X2APIC        BIT32(21)
#define F1C_MOVBE         BIT32(22)
#define F1C_POPCNT        BIT32(23)
#define F1C_TSC_DEADLINE  BIT32(24)
#define F1C_AES           BIT32(25)
#define F1C_XSAVE         BIT32(26)
#define F1C_OSXSAVE       BIT32(27)
#define F1C_AVX           BIT32(28)
#define F1C_F16C          BIT32(29)
#define F1C_RDRAND        BIT32(30)
#define F1C_HYPERVISOR    BIT32(31)

/* Leaf 1, EDX; AMD repeats most of them in leaf 0x80000001. */
#define F1D_FPU           BIT32(0)
#define F1D_VME           BIT32(1)
#define F1D_DE            BIT32(2)
#define F1D_PSE           BIT32(3)
#define F1D_TSC           BIT32(4)
#define F1D_MSR           BIT32(5)
#define F1D_PAE           BIT32(6)
#define F1D_MCE           BIT32(7)
#define F1D_CX8           BIT32(8)
#define F1D_APIC          BIT32(9)
#define F1D_SEP           BIT32(11)
#define F1D_MTRR          BIT32(12)
#define F1D_PGE           BIT32(13)
#define F1D_MCA           BIT32(14)
#define F1D_CMOV          BIT32(15)
#define F1D_PAT           BIT32(16)
#define F1D_PSE36         BIT32(17)
#define F1D_CLFLUSH       BIT32(19)
#define F1D_MMX           BIT32(23)
#define F1D_FXSR          BIT32(24)
#define F1D_SSE           BIT32(25)
#define F1D_SSE2          BIT32(26)
#define F1D_SELF_SNOOP    BIT32(27)
#define F1D_HTT           BIT32(28)

/* Leaf 6, EAX. */
#define F6A_ARAT          BIT32(2)

/* Leaf 7 subleaf 0, EBX. */
#define F7B_FSGSBASE      BIT32(0)
#define F7B_BMI1          BIT32(3)
#define F7B_AVX2          BIT32(5)
#define F7B_FDP_ONLY      BIT32(6)
#define F7B_SMEP          BIT32(7)
#define F7B_BMI2          BIT32(8)
#define F7B_ERMS          BIT32(9)
#define F7B_INVPCID       BIT32(10)
#define F7B_FCS_FDS       BIT32(13)
#define F7B_AVX512F       BIT32(16)
#define F7B_AVX512DQ      BIT32(17)
#define F7B_RDSEED        BIT32(18)
#define F7B_ADX           BIT32(19)
#define F7B_SMAP          BIT32(20)
#define F7B_AVX512IFMA    BIT32(21)
#define F7B_CLFLUSHOPT    BIT32(23)
#define F7B_CLWB          BIT32(24)
#define F7B_AVX512PF      BIT32(26)
#define F7B_AVX512ER      BIT32(27)
#define F7B_AVX512CD      BIT32(28)
#define F7B_SHA           BIT32(29)
#define F7B_AVX512BW      BIT32(30)
#define F7B_AVX512VL      BIT32(31)

/* Leaf 7 subleaf 0, ECX. */
#define F7C_AVX512VBMI    BIT32(1)
#define F7C_UMIP          BIT32(2)
#define F7C_PKU           BIT32(3)
#define F7C_OSPKE         BIT32(4)
#define F7C_AVX512VBMI2   BIT32(6)
#define F7C_GFNI          BIT32(8)
#define F7C_VAES          BIT32(9)
#define F7C_VPCLMULQDQ    BIT32(10)
#define F7C_AVX512VNNI    BIT32(11)
#define F7C_AVX512BITALG  BIT32(12)
#define F7C_AVX512POPCNT  BIT32(14)
#define F7C_LA57          BIT32(16)
#define F7C_RDPID         BIT32(22)
#define F7C_CLDEMOTE      BIT32(25)
#define F7C_MOVDIRI       BIT32(27)
#define F7C_MOVDIR64B     BIT32(28)

/* Leaf 7 subleaf 0, EDX. */
#define F7D_AVX512_4VNNIW BIT32(2)
#define F7D_AVX512_4FMAPS BIT32(3)
#define F7D_FSRM          BIT32(4)
#define F7D_AVX512VP2INT  BIT32(8)
#define F7D_MD_CLEAR      BIT32(10)
#define F7D_SERIALIZE     BIT32(14)
#define F7D_AVX512FP16    BIT32(23)

/* Leaf 7 subleaf 1, EAX. */
#define F71A_AVX_VNNI     BIT32(4)
#define F71A_AVX512BF16   BIT32(5)
#define F71A_FZRM         BIT32(10)
#define F71A_FSRS         BIT32(11)
#define F71A_FSRC         BIT32(12)
#define F71A_AVX_IFMA     BIT32(23)

/* Leaf 0xD subleaf 1, EAX. */
#define FD1A_XSAVEOPT     BIT32(0)
#define FD1A_XSAVEC       BIT32(1)
#define FD1A_XGETBV1      BIT32(2)

/* Leaf 0x80000001, ECX. */
#define FXC_LAHF          BIT32(0)
#define FXC_CMP_LEGACY    BIT32(1)
#define FXC_ABM           BIT32(5)
#define FXC_SSE4A         BIT32(6)
#define FXC_MISALIGN_SSE  BIT32(7)
#define FXC_PREFETCH      BIT32(8)
#define FXC_XOP           BIT32(11)
#define FXC_FMA4          BIT32(16)
#define FXC_TBM           BIT32(21)
#define FXC_TOPOLOGY      BIT32(22)

/* Leaf 0x80000001, EDX. */
#define FXD_SYSCALL       BIT32(11)
#define FXD_NX            BIT32(20)
#define FXD_MMXEXT        BIT32(22)
#define FXD_GIB_PAGES     BIT32(26)
#define FXD_RDTSCP        BIT32(27)
#define FXD_LONG_MODE     BIT32(29)
#define FXD_3DNOWEXT      BIT32(30)
#define FXD_3DNOW         BIT32(31)

/* Leaf 0x80000007, EDX. */
#define FX7D_INVARIANT    BIT32(8)

/* Leaf 0x80000008, EBX. */
#define FX8B_CLZERO       BIT32(0)
#define FX8B_XSAVE_ERRPTR BIT32(2)
#define FX8B_WBNOINVD     BIT32(9)
#define FX8B_SSB_NO       BIT32(26)
#define FX8B_BTC_NO       BIT32(29)

/* Leaf 0x80000021, EAX. */
#define FX21A_NO_NESTED   BIT32(0)
#define FX21A_LFENCE      BIT32(2)
#define FX21A_NULL_SEL    BIT32(6)

/* State components of XCR0. */
#define XCR0_X87          BIT64(0)
#define XCR0_SSE          BIT64(1)
#define XCR0_AVX          BIT64(2)
#define XCR0_AVX512       (BIT64(5) | BIT64(6) | BIT64(7))
#define XCR0_PKRU         BIT64(9)

#endif
