with exposure as (
    select
        person_id,
        drug_concept_id,
        case when drug_concept_id = 0 then drug_source_value end as unmapped_source_value,
        drug_exposure_id,
        drug_exposure_start_date,
        greatest(drug_exposure_start_date, drug_exposure_end_date) as drug_exposure_end_date,
        quantity,
        days_supply
    from staging.stg_omop__drug_exposure
),

concept as (
    select * from staging.stg_vocabulary__concept
),

preceded as (
    select
        *,
        max(drug_exposure_end_date) over (
            partition by person_id, drug_concept_id, unmapped_source_value
            order by drug_exposure_start_date, drug_exposure_id
            rows between unbounded preceding and 1 preceding
        ) as end_before
    from exposure
),

numbered as (
    select
        *,
        sum(case when drug_exposure_start_date <= end_before + interval '30' day then 0 else 1 end) over (
            partition by person_id, drug_concept_id, unmapped_source_value
            order by drug_exposure_start_date, drug_exposure_id
            rows between unbounded preceding and current row
        ) as exposure_number
    from preceded
),

merged as (
    select
        person_id,
        drug_concept_id,
        unmapped_source_value,
        cast(exposure_number as integer) as exposure_number,
        min(drug_exposure_start_date) as start_date,
        max(drug_exposure_end_date) as end_date,
        count(*) as record_count,
        sum(quantity) as total_quantity,
        cast(sum(days_supply) as bigint) as total_days_supply
    from numbered
    group by person_id, drug_concept_id, unmapped_source_value, exposure_number
),

final as (
    select
        merged.person_id,
        merged.drug_concept_id,
        merged.unmapped_source_value,
        merged.exposure_number,
        concept.concept_name as drug_name,
        concept.vocabulary_id,
        merged.start_date,
        merged.end_date,
        cast((to_unixtime(cast(merged.end_date as timestamp)) - to_unixtime(cast(merged.start_date as timestamp))) / 86400 as bigint) + 1 as day_count,
        merged.record_count,
        merged.total_quantity,
        merged.total_days_supply
    from merged
    left join concept on merged.drug_concept_id = concept.concept_id
)

select * from final
